/* names.c: rules of names, and texts that are safe to show. */
#include "book/names.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_NAME_BYTES 255

/* Bytes of the UTF-8 character at `at`; 0 when it is none (RFC 3629: no overlong form, no surrogate). */
static size_t utf8_length(const unsigned char *at)
{
    if (at[0] < 0x80)
        return 1;
    size_t n = at[0] >= 0xc2 && at[0] < 0xe0   ? 2
               : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
               : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                               : 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return n;
}

static const char *find_fault(const char *name)
{
    if (!*name)
        return "has an empty name";
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return "has a name that climbs";
    if (strcasecmp(name, ".git") == 0)
        return "has the name of git's own folder";
    if (strlen(name) > MAX_NAME_BYTES)
        return "has a name of more than 255 bytes";
    for (const unsigned char *at = (const unsigned char *)name; *at;) {
        size_t n = utf8_length(at);
        if (n == 0)
            return "has a name that is not UTF-8";
        if (*at < 0x20 || *at == 0x7f)
            return "has a control character in its name";
        if (*at == '/' || *at == '\\')
            return "has a slash or backslash in its name";
        at += n;
    }
    return NULL;
}

int stanch_names_check(const char *name, struct stanch_err *err)
{
    const char *fault = find_fault(name);
    if (!fault)
        return 0;
    STANCH_AUTO_FREE char *shown = stanch_names_clean_text(name);
    return stanch_err_set(err, STANCH_E_REFUSED, "\"%.100s\" %s", shown, fault);
}

int stanch_names_check_path(const char *path, struct stanch_err *err)
{
    if (strlen(path) > STANCH_BOOK_MAX_PATH_BYTES)
        return stanch_err_set(err, STANCH_E_REFUSED, "a path of more than %u bytes", STANCH_BOOK_MAX_PATH_BYTES);
    int depth = 0;
    for (const char *at = path;; depth++) {
        size_t len = strcspn(at, "/");
        STANCH_AUTO_FREE char *part = stanch_strndup(at, len);
        if (stanch_names_check(part, err) < 0)
            return STANCH_E_REFUSED;
        if (depth > STANCH_BOOK_MAX_DEPTH)
            return stanch_err_set(err, STANCH_E_REFUSED, "folders more than %d deep", STANCH_BOOK_MAX_DEPTH);
        if (!at[len])
            return 0;
        at += len + 1;
    }
}

bool stanch_names_is_lua(const char *path)
{
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, ".lua") == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

int stanch_names_find_clash(const char **names, size_t count)
{
    if (count < 2)
        return -1;
    qsort((void *)names, count, sizeof *names, compare_names);
    for (size_t i = 0; i + 1 < count; i++)
        if (strcasecmp(names[i], names[i + 1]) == 0)
            return (int)i;
    return -1;
}

char *stanch_names_clean_text(const char *text)
{
    char *clean = stanch_strdup(text ? text : "");
    for (char *at = clean; *at;) {
        size_t n = utf8_length((const unsigned char *)at);
        if (n == 0 || (n == 1 && ((unsigned char)*at < 0x20 || *at == 0x7f))) {
            *at = '?';
            n = 1;
        }
        at += n;
    }
    return clean;
}

static void cut_out(char *from, char *to)
{
    memmove(from, to, strlen(to) + 1);
}

void stanch_names_scrub(char *text, const char *url)
{
    for (char *at = strstr(text, "://"); at; at = strstr(at + 3, "://")) {
        char *host = at + 3;
        size_t len = strcspn(host, "/ \t'\"");
        char *sign = memrchr(host, '@', len);
        if (sign)
            cut_out(host, sign + 1);
    }
    const char *start = strstr(url, "://");
    if (!start)
        return;
    start += 3;
    const char *sign = memrchr(start, '@', strcspn(start, "/"));
    const char *colon = sign ? memchr(start, ':', (size_t)(sign - start)) : NULL;
    if (!colon || sign == colon + 1)
        return;
    STANCH_AUTO_FREE char *password = stanch_strndup(colon + 1, (size_t)(sign - colon - 1));
    for (char *at = strstr(text, password); at; at = strstr(at, password))
        cut_out(at, at + strlen(password));
}
