/* listen.c: the two listening sockets. Made here and handed to the library, so that the errors are ours to
 * word, port 0 can be asked for, and the control socket has its mode from the first instant. */
#include "http/exchange.h"
#include "base/mem.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int split_address(const char *listen_at, char host[256], char port[16], struct stanch_err *err)
{
    const char *colon = strrchr(listen_at, ':');
    size_t host_len = colon ? (size_t)(colon - listen_at) : 0;
    const char *from = listen_at;
    if (colon && listen_at[0] == '[' && host_len >= 2 && colon[-1] == ']') {
        from++;
        host_len -= 2;
    }
    if (!colon || host_len >= 256 || strlen(colon + 1) >= 16 || !colon[1])
        return stanch_err_set(err, STANCH_E_INVALID,
                              "listen address \"%s\": expected \"HOST:PORT\", as \"127.0.0.1:8470\"", listen_at);
    (void)snprintf(host, 256, "%.*s", (int)host_len, from);
    (void)snprintf(port, 16, "%s", colon + 1);
    return 0;
}

static int read_port(int fd)
{
    union { /* a family's port is found through its own type */
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } at = {.in6 = {0}};
    socklen_t len = sizeof at;
    if (getsockname(fd, &at.any, &len) != 0)
        return 0;
    return ntohs(at.any.sa_family == AF_INET6 ? at.in6.sin6_port : at.in.sin_port);
}

static int open_socket(const struct addrinfo *at, int *ret_fd)
{
    int yes = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (at->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, 512) != 0) {
        int errnum = errno;
        close(fd);
        return errnum;
    }
    *ret_fd = fd;
    return 0;
}

int stanch_http__listen_tcp(const char *listen_at, int *ret_fd, int *ret_port, struct stanch_err *err)
{
    char host[256], port[16];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = split_address(listen_at, host, port, err);
    if (rc != 0)
        return rc;
    int why = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (why == EAI_MEMORY)
        stanch_mem_end();
    if (why != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "listen address \"%s\": %s", listen_at, gai_strerror(why));
    int errnum = open_socket(found, ret_fd);
    freeaddrinfo(found);
    if (errnum != 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errnum, "cannot listen on %s", listen_at);
    *ret_port = read_port(*ret_fd);
    return 0;
}

/* A socket file that nobody answers on is left over from a daemon that was killed. */
static int remove_stale(const struct sockaddr_un *at, struct stanch_err *err)
{
    struct stat info;
    if (lstat(at->sun_path, &info) != 0)
        return 0;
    if (!S_ISSOCK(info.st_mode))
        return stanch_err_set(err, STANCH_E_SYSTEM, "%s is there and is not a socket", at->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "no socket");
    int rc = connect(fd, (const struct sockaddr *)(const void *)at, sizeof *at);
    int errnum = rc == 0 ? 0 : errno;
    close(fd);
    if (errnum != ECONNREFUSED)
        return stanch_err_set(err, STANCH_E_SYSTEM, "%s: another process answers on this socket", at->sun_path);
    if (unlink(at->sun_path) != 0 && errno != ENOENT)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "cannot remove the left over socket %s", at->sun_path);
    return 0;
}

int stanch_http__listen_unix(const char *path, int *ret_fd, struct stanch_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path)
        return stanch_err_set(err, STANCH_E_INVALID, "socket path %s: longer than %zu bytes", path,
                              sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    int rc = remove_stale(&at, err);
    if (rc != 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "no socket");
    /* before bind: the file never exists with a wider mode */
    if (fchmod(fd, 0660) != 0 || bind(fd, (struct sockaddr *)(void *)&at, sizeof at) != 0 || chmod(path, 0660) != 0 ||
        listen(fd, 128) != 0) {
        int errnum = errno;
        close(fd);
        return stanch_err_errno(err, STANCH_E_SYSTEM, errnum, "cannot listen on %s", path);
    }
    *ret_fd = fd;
    return 0;
}
