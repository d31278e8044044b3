/* map.c: entries of a map. HAProxy takes two entries of one key (and uses the first), has no conditional write, and
 * `set map` needs a key that is there: so absent, one, and several are three things. A reload reads the file again. */
#include "haproxy.h"
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool is_of(const char *text, const char *letters, size_t max)
{
    size_t len = text ? strlen(text) : 0;
    return len > 0 && len <= max && strspn(text, letters) == len;
}

bool haproxy_is_map_file(const char *text)
{
    return is_of(text, LETTERS "-_./:+@", 400);
}

bool haproxy_is_map_word(const char *text)
{
    return is_of(text, LETTERS "-_.:/@%+=,*?&~()[]^$|", 400);
}

const char *haproxy_parse_map(struct sdk_call *call, char *text, const char *key, json_t **ret_now,
                              const char **ret_kind)
{
    size_t key_len = strlen(key), len = strlen(text), found = 0;
    json_t *value = json_null();
    *ret_kind = strstr(text, "nknown map") ? "not-found" : strstr(text, "ermission denied") ? "forbidden" : "protocol";
    if (len < 2 ? strcmp(text, "\n") != 0 : text[len - 1] != '\n' || text[len - 2] != '\n')
        return "HAProxy's answer ends in the middle";
    for (char *line = text, *end; *line && *line != '\n'; line = end + 1) {
        char *at = strchr(line, ' ');
        end = strchr(line, '\n');
        *end = '\0';
        if (strncmp(line, "0x", 2) != 0 || !at) {
            json_decref(value);
            return sdk_text(call, "HAProxy answered \"show map\" with: %.200s", line);
        }
        if (strncmp(++at, key, key_len) != 0 || (at[key_len] != ' ' && at[key_len] != '\0'))
            continue;
        found++;
        json_decref(value);
        value = json_string(at[key_len] ? at + key_len + 1 : "");
    }
    *ret_kind = "refused";
    *ret_now = sdk_hold(call, json_pack("{s:o}", "value", value ? value : json_string("?")));
    if (found > 1)
        return sdk_text(call,
                        "the map has %zu entries of \"%s\"; which of them counts could not be put back; settle it by "
                        "hand first",
                        found, key);
    if (found == 1 && !haproxy_is_map_word(json_string_value(json_object_get(*ret_now, "value"))))
        return sdk_text(call, "the value of \"%s\" has blanks or other letters with which it could not be put back",
                        key);
    return NULL;
}

const char *haproxy_map_command(struct sdk_call *call, const struct haproxy_work *work, const json_t *now,
                                const json_t *value)
{
    const char *to = json_string_value(json_object_get(value, "value"));
    bool is_there = json_is_string(json_object_get(now, "value"));
    if (!to)
        return sdk_text(call, "del map %s %s", work->map_name, work->map_key);
    return sdk_text(call, "%s map %s %s %s", is_there ? "set" : "add", work->map_name, work->map_key, to);
}

static const char *show_value(struct sdk_call *call, const json_t *value)
{
    const char *text = json_string_value(json_object_get(value, "value"));
    return text ? sdk_text(call, "\"%s\"", text) : "not there";
}

void haproxy_plan_map(struct sdk_call *call, struct haproxy_work *work, const json_t *from, const json_t *to)
{
    const char *many =
        work->count > 1 ? sdk_text(call, ", on %zu processes%s", work->count, haproxy_kept_text(call, work, to)) : "";
    sdk_plan(call,
             &(struct sdk_plan){
                 .targets = json_pack("[o]", json_sprintf("haproxy:%s/%s/%s", sdk_instance_name(sdk_instance(call)),
                                                          work->map_name, work->map_key)),
                 .undo = json_pack("{s:O, s:{s:O}}", "value", json_object_get(from, "value"), "only_if", "value",
                                   json_object_get(to, "value")),
                 .by_hand = haproxy_by_hand(call, work, NULL, to),
                 .undo_by_hand = haproxy_by_hand(call, work, to, from),
                 .impact = sdk_text(call, "%s of map %s: %s -> %s%s", work->map_key, work->map_name,
                                    show_value(call, from), show_value(call, to), many),
                 .reach = -1,
                 .observed = json_pack("{s:I, s:o}", "as_of_ms", (json_int_t)sdk_now_ms(call), "processes",
                                       haproxy_processes(work)),
                 .no_change = json_equal(from, to) != 0,
                 .from = json_incref((json_t *)(uintptr_t)from),
                 .to = json_incref((json_t *)(uintptr_t)to),
             });
}
