/* stream.c: TLS for libgit2's https, on libcurl. libgit2 1.5's own (mbedTLS, as Debian builds it) takes TLS 1.0, knows no
 * certificate for an address, and does not say what is wrong with one; and a first redirect is followed whatever its options
 * say. Here each connection passes by: TLS 1.2 at least, the trust of the settings, and only to the host and port of the
 * setting url.
 *
 *   libgit2 --new(host, port)--> ours? --connect--> curl: address, TLS, certificate --> read, write --> close, free
 *
 * libgit2 makes a stream without a word of whose it is: the job that is under way is noted in one place (there is one
 * instance in a process, and one thread that works).
 */
#include "gitops.h"
#include <curl/curl.h>
#include <errno.h>
#include <git2/sys/stream.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOOK_MS 200 /* how often a connection that waits looks whether its job was cut */

struct stream {
    git_stream base;
    CURL *easy;
    char why[CURL_ERROR_SIZE];
    char *url;
};

static struct gitops_job *current;
static git_cert certificate = {.cert_type = GIT_CERT_X509};

void gitops_stream_for(struct gitops_job *job)
{
    current = job;
}

static int fail(const char *text)
{
    git_error_set_str(GIT_ERROR_NET, text);
    return -1;
}

static int on_progress(void *ctx, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent)
{
    (void)ctx;
    (void)to_get;
    (void)got;
    (void)to_send;
    (void)sent;
    return current->is_cut;
}

static int start(git_stream *base)
{
    struct stream *stream = (struct stream *)base;
    CURLcode code = curl_easy_perform(stream->easy);
    if (code == CURLE_OK)
        return 0;
    const char *why = gitops_clean(current, *stream->why ? stream->why : curl_easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        current->bad_certificate = why;
    return fail(why);
}

/* It was looked at by curl: libgit2 wants one to show. */
static int show_certificate(git_cert **ret, git_stream *base)
{
    (void)base;
    *ret = &certificate;
    return 0;
}

/* Until the socket is ready. returns false when the job was cut */
static bool await(const struct stream *stream, short what)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(stream->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
        return false;
    struct pollfd poller = {.fd = fd, .events = what};
    while (!current->is_cut) {
        int ready = poll(&poller, 1, LOOK_MS);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
    return false;
}

static ssize_t take(git_stream *base, void *bytes, size_t len)
{
    struct stream *stream = (struct stream *)base;
    size_t got = 0;
    CURLcode code;
    while ((code = curl_easy_recv(stream->easy, bytes, len, &got)) == CURLE_AGAIN)
        if (!await(stream, POLLIN))
            return fail("the connection was given up");
    return code == CURLE_OK ? (ssize_t)got : fail(curl_easy_strerror(code));
}

static ssize_t give(git_stream *base, const char *bytes, size_t len, int flags)
{
    struct stream *stream = (struct stream *)base;
    size_t sent = 0;
    CURLcode code;
    (void)flags;
    while ((code = curl_easy_send(stream->easy, bytes, len, &sent)) == CURLE_AGAIN)
        if (!await(stream, POLLOUT))
            return fail("the connection was given up");
    return code == CURLE_OK ? (ssize_t)sent : fail(curl_easy_strerror(code));
}

static int end(git_stream *base)
{
    struct stream *stream = (struct stream *)base;
    curl_easy_cleanup(stream->easy);
    stream->easy = NULL;
    return 0;
}

static void release(git_stream *base)
{
    struct stream *stream = (struct stream *)base;
    curl_easy_cleanup(stream->easy);
    free(stream->url);
    free(stream);
}

static void set_options(struct stream *stream)
{
    const struct gitops *gitops = current->gitops;
    CURL *easy = stream->easy;
    curl_easy_setopt(easy, CURLOPT_URL, stream->url);
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L); /* what is spoken on it is HTTP/1.1, by libgit2 */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, stream->why);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    if (gitops->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, gitops->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

/* Whether it is the host and port of the setting url. */
static bool is_remote(const char *host, const char *port)
{
    const char *at = strstr(current->gitops->remote, "://") + 3, *user = memchr(at, '@', strcspn(at, "/"));
    at = user ? user + 1 : at;
    bool is_literal = *at == '[';
    at += is_literal;
    host += *host == '[';
    size_t len = strcspn(at, is_literal ? "]" : ":/"), given = strcspn(host, "]");
    const char *after = at + len + is_literal, *our_port = *after == ':' ? after + 1 : "443";
    size_t port_len = strcspn(our_port, "/");
    return len == given && strncasecmp(at, host, len) == 0 && port_len == strlen(port) &&
           strncmp(our_port, port, port_len) == 0;
}

static int make(git_stream **ret, const char *host, const char *port)
{
    struct stream *stream = calloc(1, sizeof *stream);
    char *url = NULL;
    bool is_literal = strchr(host, ':') && *host != '[';
    if (!stream || asprintf(&url, is_literal ? "https://[%s]:%s/" : "https://%s:%s/", host, port) < 0)
        abort();
    stream->url = url;
    if (!is_remote(host, port)) {
        current->elsewhere = gitops_text(current, "%s", gitops_clean(current, url));
        free(url);
        free(stream);
        return fail("it leads elsewhere");
    }
    stream->base = (git_stream){.version = GIT_STREAM_VERSION,
                                .encrypted = 1,
                                .connect = start,
                                .certificate = show_certificate,
                                .read = take,
                                .write = give,
                                .close = end,
                                .free = release};
    stream->easy = curl_easy_init();
    if (!stream->easy)
        abort();
    set_options(stream);
    *ret = &stream->base;
    return 0;
}

/* http:// is never reached: a redirect to it. */
static int refuse(git_stream **ret, const char *host, const char *port)
{
    (void)ret;
    current->elsewhere =
        gitops_text(current, "http://%s:%s/", gitops_clean(current, host), gitops_clean(current, port));
    return fail("it leads elsewhere");
}

const char *gitops_streams_start(void)
{
    git_stream_registration tls = {.version = GIT_STREAM_VERSION, .init = make};
    git_stream_registration plain = {.version = GIT_STREAM_VERSION, .init = refuse};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || git_stream_register(GIT_STREAM_TLS, &tls) < 0 ||
        git_stream_register(GIT_STREAM_STANDARD, &plain) < 0)
        return "the connections of https could not be set up";
    return NULL;
}
