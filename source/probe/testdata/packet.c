// Speaks plain HTTP to a port by functions that are called as those of GnuTLS are, once its standard input ends. Its packets are not laid out
// as GnuTLS's: their length is not that of the result.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct packet {
	void *links[2];
	size_t mark;
	char *data;
	unsigned size;
};

__attribute__((noinline)) ssize_t gnutls_record_send(int *session, const void *buffer, size_t length)
{
	return write(*session, buffer, length);
}

__attribute__((noinline)) ssize_t gnutls_record_recv_packet(int *session, struct packet **packet)
{
	static char buffer[4096];
	static struct packet p;
	ssize_t n = read(*session, buffer, sizeof(buffer));

	p.data = buffer;
	p.size = n + 1;
	*packet = &p;
	return n;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *request = "GET /packet HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	int session = socket(AF_INET, SOCK_STREAM, 0);
	struct packet *packet;

	while (getchar() != EOF)
		;
	if (connect(session, (struct sockaddr *)&to, sizeof(to)))
		return 1;
	gnutls_record_send(&session, request, strlen(request));
	while (gnutls_record_recv_packet(&session, &packet) > 0)
		;
	return 0;
}
