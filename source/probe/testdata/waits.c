// A program that has a function of GnuTLS linked in, which waits for an answer while hooks come and go. It reads a first answer to the
// end, prints "slow", and then asks for each path on its standard input, from deeper in its stack, printing it.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((noinline)) ssize_t gnutls_record_send(int *s, const void *b, size_t n) { return write(*s, b, n); }
__attribute__((noinline)) ssize_t gnutls_record_send2(int *s, const void *b, size_t n) { return write(*s, b, n) + 0; }
__attribute__((noinline)) ssize_t gnutls_record_recv(int *s, void *b, size_t n) { return read(*s, b, n); }

static struct sockaddr_in server = {.sin_family = AF_INET};

static int *dial(void)
{
	int *s = malloc(4096);

	*s = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(*s, (void *)&server, sizeof(server)))
		exit(1);
	return s;
}

static void ask(const char *path, char *answer, size_t size)
{
	char request[200];
	int *s = dial();

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	gnutls_record_send(s, request, strlen(request));
	while (gnutls_record_recv(s, answer, size) > 0)
		;
	close(*s);
	puts(path);
	fflush(stdout);
}

__attribute__((noinline)) static void deeper(const char *path)
{
	char room[8000];

	memset(room, 0, sizeof(room));
	ask(path, room, sizeof(room));
}

int main(int argc, char **argv)
{
	char line[100], answer[100];

	server.sin_port = htons(atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	ask("/slow", answer, sizeof(answer));
	while (fgets(line, sizeof(line), stdin)) {
		line[strlen(line) - 1] = 0;
		deeper(line);
	}
}
