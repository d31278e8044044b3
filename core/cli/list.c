/* list.c: lists page by page, and one document as fields. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static int64_t limit_of(const struct stanch_cli *cli)
{
    const char *text = stanch_cli__value(cli, STANCH_CLI__LIMIT);
    int64_t limit = text ? strtoll(text, NULL, 10) : 100;
    return limit < 1 ? 1 : limit;
}

/* path: may have a query. ret: new, an array. */
static int read_pages(struct stanch_cli *cli, const char *path, const char *cursor, int64_t limit, json_t **ret)
{
    json_t *all = json_array();
    int64_t next = -1;
    do {
        STANCH_AUTO_JSON json_t *page = NULL;
        int64_t left = limit - (int64_t)json_array_size(all);
        STANCH_AUTO_BUF struct stanch_buf url = {0};
        stanch_buf_printf(&url, "%s%climit=%lld", path, strchr(path, '?') ? '&' : '?',
                          (long long)(left > 1000 ? 1000 : left));
        if (next >= 0)
            stanch_buf_printf(&url, "&%s=%lld", cursor, (long long)next);
        int rc = stanch_cli__get(cli, stanch_buf_str(&url), &page);
        if (rc != 0) {
            json_decref(all);
            return rc;
        }
        json_array_extend(all, json_object_get(page, "items"));
        next = stanch_json_int(page, "next", -1);
    } while (next >= 0 && (int64_t)json_array_size(all) < limit);
    *ret = all;
    return 0;
}

int stanch_cli__read_all(struct stanch_cli *cli, const char *path, json_t **ret)
{
    return read_pages(cli, path, "after", INT64_MAX, ret);
}

int stanch_cli__list(struct stanch_cli *cli, const char *path, const char *heads, const char *members,
                     const char *nothing)
{
    STANCH_AUTO_JSON json_t *items = NULL;
    json_t *item;
    size_t i;
    int rc = read_pages(cli, path, "before", limit_of(cli), &items);
    if (rc != 0 || stanch_cli__said_json(cli, items))
        return rc;
    struct stanch_cli__table *table = stanch_cli__table_new(heads);
    json_array_foreach(items, i, item) stanch_cli__table_row(table, item, members);
    stanch_cli__table_print(cli, table, nothing);
    return 0;
}

int stanch_cli__show(const struct stanch_cli *cli, const json_t *doc, const char *members)
{
    const char *at = members;
    if (stanch_cli__said_json(cli, doc))
        return 0;
    while (*at) {
        size_t len = strcspn(at, " ");
        STANCH_AUTO_FREE char *name = stanch_strndup(at, len);
        stanch_cli__field(cli, name, json_object_get(doc, name));
        at += len + (at[len] == ' ');
    }
    return 0;
}
