/* client.c: one exchange with the daemon, over the control socket or a server's URL. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <curl/curl.h>
#include <stdarg.h>
#include <string.h>

#define ANSWER_BYTES (256u << 20)

char *stanch_cli__path(const char *fmt, ...)
{
    struct stanch_buf out = {0};
    va_list args;
    va_start(args, fmt);
    for (const char *c = fmt; *c; c++) {
        if (c[0] == '%' && c[1] == 's') {
            char *escaped = curl_easy_escape(NULL, va_arg(args, const char *), 0);
            stanch_buf_text(&out, escaped ? escaped : "");
            curl_free(escaped);
            c++;
        } else {
            stanch_buf_char(&out, *c);
        }
    }
    va_end(args);
    return stanch_buf_take(&out);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
    struct stanch_buf *answer = ctx;
    if (answer->len + size * count > ANSWER_BYTES)
        return 0;
    stanch_buf_add(answer, bytes, size * count);
    return size * count;
}

/* What is of a drill is said to be before anything of it is shown. */
static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    static const char name[] = "x-stanch-drill:";
    struct stanch_cli *cli = ctx;
    size_t len = size * count, skip = sizeof name - 1;
    if (!cli->is_marked && len > skip && strncasecmp(bytes, name, skip) == 0) {
        cli->is_marked = true;
        while (skip < len && bytes[skip] == ' ')
            skip++;
        while (len > skip && (unsigned char)bytes[len - 1] <= ' ')
            len--;
        (void)fprintf(stderr, "DRILL %.*s: this is not real\n", (int)(len - skip), bytes + skip);
    }
    return size * count;
}

static int set_target(struct stanch_cli *cli, CURL *curl, const char *path)
{
    const char *base = cli->server ? cli->server : "http://stanch";
    size_t len = strlen(base);
    STANCH_AUTO_FREE char *url =
        stanch_asprintf("%.*s%s", (int)(len && base[len - 1] == '/' ? len - 1 : len), base, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    if (cli->server)
        return 0;
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, cli->socket) != CURLE_OK)
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "socket path %s: too long", cli->socket);
    return 0;
}

static struct curl_slist *make_headers(const struct stanch_cli *cli, bool has_body)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    const char *token = getenv("STANCH_TOKEN");
    bool has_type = false;
    for (int i = 0; i < cli->many_count && strstr(cli->command->options, "header"); i++) {
        headers = curl_slist_append(headers, cli->many[i]);
        has_type |= strncasecmp(cli->many[i], "content-type:", 13) == 0;
    }
    if (has_body && !has_type)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    if (cli->server && token && *token) {
        STANCH_AUTO_FREE char *line = stanch_asprintf("Authorization: Bearer %s", token);
        headers = curl_slist_append(headers, line);
    }
    return headers;
}

static int say_unreachable(struct stanch_cli *cli, CURL *curl, CURLcode code, const char *detail)
{
    long errnum = 0;
    const char *why = *detail ? detail : curl_easy_strerror(code);
    if (code == CURLE_WRITE_ERROR)
        return stanch_err_set(&cli->err, STANCH_E_TOO_LARGE, "the answer is too long");
    if (code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST)
        return stanch_err_set(&cli->err, STANCH_E_UNAVAILABLE,
                              "the exchange broke off, what was asked for may or may not have happened: %s", why);
    if (cli->server)
        return stanch_err_set(&cli->err, STANCH_E_UNREACHABLE, "%s does not answer: %s", cli->server, why);
    if (cli->in_drill)
        return stanch_err_set(&cli->err, STANCH_E_UNREACHABLE,
                              "no drill answers on %s: is one under way (`stanch drills`), and is it this daemon's?",
                              cli->socket);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &errnum); /* libcurl speaks of a port here */
    return stanch_err_set(&cli->err, STANCH_E_UNREACHABLE,
                          "no daemon answers on %s: %s; is it running, may you use its socket, is it another "
                          "--socket or STANCH_SOCKET?",
                          cli->socket, errnum ? strerror((int)errnum) : why);
}

static int code_of_status(long status)
{
    static const int codes[] = {STANCH_E_INVALID,   STANCH_E_UNAUTHORIZED, STANCH_E_FORBIDDEN,
                                STANCH_E_NOT_FOUND, STANCH_E_CONFLICT,     STANCH_E_TOO_LARGE,
                                STANCH_E_REFUSED,   STANCH_E_RATE,         STANCH_E_UNAVAILABLE};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (stanch_err_http(codes[i]) == (int)status)
            return codes[i];
    return status == 408 ? STANCH_E_TIMEOUT : status == 431 ? STANCH_E_TOO_LARGE : STANCH_E_PROTOCOL;
}

/* The problem document in words; the code's word gives the exit code. */
static int say_problem(struct stanch_cli *cli, long status, const json_t *problem)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int code = stanch_err_from_word(stanch_json_str(problem, "code", ""));
    const char *where = stanch_json_str(problem, "where", NULL);
    if (where && strcmp(where, "path") != 0)
        stanch_buf_printf(&text, "%s: ", where);
    stanch_buf_text(&text, stanch_json_str(problem, "detail", "no reason was given"));
    return stanch_err_set(&cli->err, code ? code : code_of_status(status), "%s", stanch_buf_str(&text));
}

static int read_answer(struct stanch_cli *cli, long status, const struct stanch_buf *answer, json_t **ret)
{
    STANCH_AUTO_JSON json_t *value = NULL;
    int rc = stanch_json_parse(stanch_buf_str(answer), answer->len, &stanch_json_own_limits, &value, NULL);
    if (status >= 400)
        return say_problem(cli, status, value);
    if (rc != 0)
        return stanch_err_set(&cli->err, STANCH_E_PROTOCOL, "the answer (status %ld) is not JSON; is this stanch?",
                              status);
    if (ret) {
        *ret = value;
        value = NULL;
    }
    return 0;
}

/* ret_text: the answer as it came, when it is no problem; NULL: it is JSON, into ret. */
static int exchange(struct stanch_cli *cli, const char *method, const char *path, const char *body, size_t len,
                    struct stanch_buf *ret_text, json_t **ret)
{
    STANCH_AUTO_BUF struct stanch_buf answer = {0};
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = make_headers(cli, body != NULL);
    int rc = set_target(cli, curl, path);
    if (rc != 0)
        goto done;
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, cli);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, cli->timeout_s);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        rc = say_unreachable(cli, curl, code, detail);
    else if (ret_text && status < 400)
        stanch_buf_add(ret_text, stanch_buf_str(&answer), answer.len);
    else
        rc = read_answer(cli, status, &answer, ret);
done:
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return rc;
}

int stanch_cli__get(struct stanch_cli *cli, const char *path, json_t **ret)
{
    return exchange(cli, "GET", path, NULL, 0, NULL, ret);
}

int stanch_cli__get_text(struct stanch_cli *cli, const char *path, struct stanch_buf *ret)
{
    return exchange(cli, "GET", path, NULL, 0, ret, NULL);
}

int stanch_cli__send(struct stanch_cli *cli, const char *method, const char *path, const json_t *body, json_t **ret)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    if (body)
        stanch_json_write(body, &text);
    else
        stanch_buf_text(&text, "{}");
    return exchange(cli, method, path, stanch_buf_str(&text), text.len, NULL, ret);
}

int stanch_cli__send_raw(struct stanch_cli *cli, const char *path, const char *body, size_t len, json_t **ret)
{
    return exchange(cli, "POST", path, body, len, NULL, ret);
}
