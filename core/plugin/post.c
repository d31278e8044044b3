/* post.c: libcurl's easy interface; the body of the answer is not looked at. */
#include "plugin/post.h"
#include "base/mem.h"
#include <curl/curl.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define MAX_TOKEN 4096

static size_t ignore(char *bytes, size_t size, size_t count, void *ctx)
{
    (void)bytes;
    (void)ctx;
    return size * count;
}

/* "Authorization: Bearer TOKEN" into the list; the text is wiped after use. */
static int add_token(struct curl_slist **headers, int fd, struct stanch_err *err)
{
    char line[MAX_TOKEN + 64] = "Authorization: Bearer ";
    size_t begin = strlen(line), len = 0;
    ssize_t got;
    while (len < MAX_TOKEN && (got = pread(fd, line + begin + len, MAX_TOKEN - len, (off_t)len)) > 0)
        len += (size_t)got;
    line[begin + len] = 0;
    line[begin + strcspn(line + begin, "\r\n")] = 0;
    bool is_good = line[begin] != 0;
    if (is_good)
        *headers = curl_slist_append(*headers, line);
    sodium_memzero(line, sizeof line);
    return is_good ? 0 : stanch_err_set(err, STANCH_E_INVALID, "the token is empty");
}

static int perform(CURL *curl, const char *url, struct stanch_err *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return stanch_err_set(err, STANCH_E_TIMEOUT, "%s does not answer in time", url);
    if (code != CURLE_OK)
        return stanch_err_set(err, STANCH_E_UNREACHABLE, "%s cannot be reached: %s", url,
                              *detail ? detail : curl_easy_strerror(code));
    if (status < 200 || status > 299)
        return stanch_err_set(err, STANCH_E_REMOTE, "%s answered with status %ld", url, status);
    return 0;
}

int stanch_post_json(const char *url, int token_fd, const char *body, size_t len, int64_t deadline_ms,
                     struct stanch_err *err)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    int rc = curl ? 0 : stanch_err_set(err, STANCH_E_SYSTEM, "libcurl does not start");
    if (rc == 0 && token_fd >= 0)
        rc = add_token(&headers, token_fd, err);
    if (rc == 0) {
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)deadline_ms);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        rc = perform(curl, url, err);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return rc;
}
