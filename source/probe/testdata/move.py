# Gets URLs, and puts a file to those that come after one: move [@FILE] URL...
import sys, requests, urllib3

urllib3.disable_warnings()
session, file = requests.Session(), None
for argument in sys.argv[1:]:
    if argument[0] == "@":
        file = open(argument[1:], "rb")
    else:
        answer = session.request("PUT" if file else "GET", argument, data=file, verify=False)
        answer.raise_for_status()
        file = None
