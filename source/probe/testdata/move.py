# Gets URLs, and puts a file to those that come after one: move [@FILE] URL...
import sys, time, requests, urllib3

urllib3.disable_warnings()


def slowly(name):
    with open(name, "rb") as file:
        while piece := file.read(256 << 10):
            yield piece
            time.sleep(0.01)


session, file = requests.Session(), None
for argument in sys.argv[1:]:
    if argument[0] == "@":
        file = slowly(argument[1:])
    else:
        answer = session.request("PUT" if file else "GET", argument, data=file, verify=False)
        answer.raise_for_status()
        file = None
