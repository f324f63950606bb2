// A program whose sockets the proxy makes: tests/browser/test_emscripten.py compiles and runs it.
//
// Its arguments are the proxy's address and the ports of peers: one that echoes, one that hashes, one that echoes
// datagrams, one that refuses, one that is silent. Each line that it prints is what a step found.

#include <arpa/inet.h>
#include <emscripten/posix_socket.h>
#include <emscripten/threading.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define LARGE 1000000

static struct sockaddr_in loopback(const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static int connected(const char *port) {
  struct sockaddr_in address = loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
    printf("connect: %s\n", strerror(errno));
    exit(1);
  }
  return fd;
}

static size_t receive(int fd, char *buffer, size_t size) {
  size_t at = 0;
  while (at < size) {
    ssize_t count = recv(fd, buffer + at, size - at, 0);
    if (count <= 0) break;
    at += count;
  }
  return at;
}

static void echo(const char *port) {
  char buffer[64] = "";
  int fd = connected(port);
  ssize_t sent = send(fd, "hello", 5, 0);
  size_t got = receive(fd, buffer, 5);
  printf("echo: sent %zd, received %zu: %s\n", sent, got, buffer);
  shutdown(fd, SHUT_RDWR);
}

// Calls of 1 MB, which browsers cut into fragments, until all of it has gone.
static void large(const char *port) {
  static unsigned char data[LARGE];
  char digest[65] = "";
  for (uint32_t i = 0; i < LARGE / 4; i++) memcpy(data + 4 * i, &i, 4);
  int fd = connected(port);
  for (size_t at = 0; at < LARGE;) {
    ssize_t sent = send(fd, data + at, LARGE - at, 0);
    if (sent <= 0) {
      printf("large: %s\n", strerror(errno));
      exit(1);
    }
    at += sent;
  }
  shutdown(fd, SHUT_WR);
  receive(fd, digest, 64);
  printf("large: %s\n", digest);
  shutdown(fd, SHUT_RDWR);
}

static void datagrams(const char *port) {
  char buffer[64] = "";
  struct sockaddr_in to = loopback(port), from = {0};
  socklen_t size = sizeof from;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  ssize_t sent = sendto(fd, "datagram", 8, 0, (struct sockaddr *)&to, sizeof to);
  ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
  int same = size == sizeof to && from.sin_port == to.sin_port && from.sin_addr.s_addr == to.sin_addr.s_addr;
  printf("datagrams: sent %zd, received %zd: %s, %s\n", sent, got, buffer, same ? "from there" : "from elsewhere");
  shutdown(fd, SHUT_RDWR);
}

static void names(void) {
  char text[64];
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
  int code = getaddrinfo("localhost", "80", &hints, &found);
  struct sockaddr_in *address = code ? NULL : (struct sockaddr_in *)found->ai_addr;
  printf("localhost: %d %s %d\n", code, address ? inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) : "",
         address ? ntohs(address->sin_port) : 0);
  hints.ai_flags = AI_PASSIVE;
  code = getaddrinfo(NULL, "80", &hints, &found);
  address = code ? NULL : (struct sockaddr_in *)found->ai_addr;
  printf("no name: %d %s\n", code, address ? inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) : "");
  printf("no such name: %s\n", getaddrinfo("no-such-host.invalid", "80", &hints, &found) == EAI_NONAME ? "EAI_NONAME" : "?");
}

static void options(const char *silent) {
  int fd = connected(silent), on = 1, value = 0;
  socklen_t size = sizeof value;
  struct timeval timeout = {.tv_usec = 100000};
  int set = setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size);
  printf("SO_KEEPALIVE: %d %d\n", set, value);
  value = 0, size = sizeof value;
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size);
  printf("SO_TYPE: %s\n", value == SOCK_STREAM ? "SOCK_STREAM" : "?");
  printf("TCP_NODELAY: %d\n", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  set = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ssize_t got = recv(fd, &value, 1, 0);
  printf("SO_RCVTIMEO: %d %zd %s\n", set, got, errno == EAGAIN ? "EAGAIN" : strerror(errno));
  got = recv(fd, &value, 1, MSG_DONTWAIT);
  printf("MSG_DONTWAIT: %zd %s\n", got, errno == EAGAIN ? "EAGAIN" : strerror(errno));
  shutdown(fd, SHUT_RDWR);
}

static void refused(const char *port) {
  struct sockaddr_in address = loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int result = connect(fd, (struct sockaddr *)&address, sizeof address);
  printf("refused: %d %s\n", result, errno == ECONNREFUSED ? "ECONNREFUSED" : strerror(errno));
  shutdown(fd, SHUT_RDWR);
}

static void *serve(void *port) {
  char buffer[64] = "";
  struct sockaddr_in address = loopback("0");
  union { struct sockaddr_in in; char room[256]; } name = {0}; // with less the client's call comes to nothing
  socklen_t size = sizeof name;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int bound = bind(listener, (struct sockaddr *)&address, sizeof address);
  int listening = listen(listener, 5);
  int named = getsockname(listener, (struct sockaddr *)&name, &size);
  printf("listening: %d %d %d %d\n", bound, listening, named, ntohs(name.in.sin_port));
  int fd = accept(listener, NULL, NULL);
  ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  for (ssize_t i = 0; i < got; i++) buffer[i] ^= 0x20;
  printf("served: %zd\n", send(fd, buffer, got, 0));
  shutdown(fd, SHUT_RDWR);
  shutdown(listener, SHUT_RDWR);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  unsigned short state = 0;
  EMSCRIPTEN_WEBSOCKET_T bridge = emscripten_init_websocket_to_posix_socket_bridge(argv[1]);
  while (!emscripten_websocket_get_ready_state(bridge, &state) && state == 0) emscripten_thread_sleep(5);
  printf("bridge: %d\n", state);
  pthread_t server;
  pthread_create(&server, NULL, serve, NULL); // it waits in accept() while the others go on
  echo(argv[2]);
  large(argv[3]);
  datagrams(argv[4]);
  names();
  refused(argv[5]);
  options(argv[6]);
  pthread_join(server, NULL);
  puts("done");
  return 0;
}
