// A program with Emscripten's emulated sockets, each over a WebSocket: tests/browser/test_emscripten.py runs it.
//
// Its first argument is tcp or udp: there the socket is bound, and begins with a message that tells its port.

#include <arpa/inet.h>
#include <emscripten.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int fd, udp;
static struct sockaddr_in address = {.sin_family = AF_INET};

// recv() never waits here: the page has to have a turn.
static void look(void) {
  char buffer[64] = "";
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  ssize_t got = recvfrom(fd, buffer, sizeof buffer - 1, 0, (struct sockaddr *)&from, &size);
  if (got < 0 && errno == EAGAIN) return;
  printf("received %zd: %s\n", got, buffer);
  puts("done");
  emscripten_cancel_main_loop();
}

static void opened(int which, void *data) {
  if (!udp) printf("sent %zd\n", send(fd, "over tcp", 8, 0));
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  udp = !strcmp(argv[1], "udp");
  address.sin_port = htons(atoi(argv[2]));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
  emscripten_set_socket_open_callback(NULL, opened);
  if (udp) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(5000)};
    printf("bound %d\n", bind(fd, (struct sockaddr *)&own, sizeof own));
    printf("sent %zd\n", sendto(fd, "over udp", 8, 0, (struct sockaddr *)&address, sizeof address));
  } else {
    connect(fd, (struct sockaddr *)&address, sizeof address);
  }
  emscripten_set_main_loop(look, 20, 0);
  return 0;
}
