// A client and a server in one: what it reads from its standard input goes through TLS twice.
package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
)

func main() {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	server := httptest.NewTLSServer(echo)
	response, err := server.Client().Post(server.URL, "text/plain", os.Stdin)
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, response.Body)
}
