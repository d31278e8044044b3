/* view.c: a noun's document as people and programs read it. */
#include "api/room.h"
#include "base/json.h"
#include "base/times.h"
#include <stdio.h>
#include <string.h>

#define LONG_AGO_MS 100000000000 /* 1973: what is smaller is a duration and no time of day */

static void add_time(json_t *doc, const char *key, int64_t at_ms)
{
    char name[64], text[32];
    size_t len = strlen(key) - strlen("_ms");
    if (len >= sizeof name)
        return;
    (void)snprintf(name, sizeof name, "%.*s", (int)len, key);
    if (json_object_get(doc, name))
        return;
    stanch_time_text(at_ms, text);
    stanch_json_set_str(doc, name, text);
}

static bool is_wall_ms(const char *key, const json_t *value)
{
    size_t len = strlen(key);
    return len > 3 && strcmp(key + len - 3, "_ms") == 0 && json_is_integer(value) &&
           json_integer_value(value) > LONG_AGO_MS;
}

json_t *stanch_api__view(const json_t *doc)
{
    const char *key;
    json_t *value;
    if (!json_is_object(doc))
        return json_deep_copy(doc);
    json_t *view = json_copy((json_t *)(uintptr_t)doc);
    json_object_foreach((json_t *)(uintptr_t)doc, key, value) if (is_wall_ms(key, value))
        add_time(view, key, json_integer_value(value));
    return view;
}
