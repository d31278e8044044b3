/* entry_text.c: the sentence of an entry. A kind's text is copied; {member} is filled in; a part in
 * [brackets] is left out when one of its members is missing, so that no sentence ends in "()". */
#include "model/entry.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include <inttypes.h>
#include <string.h>

#define VALUE_MAX 200 /* bytes of one value in a sentence */

/* Append at most VALUE_MAX bytes, cut between characters. */
static void add_cut(struct stanch_buf *out, const char *text, size_t len)
{
    if (len <= VALUE_MAX) {
        stanch_buf_add(out, text, len);
        return;
    }
    size_t cut = VALUE_MAX;
    while (cut > 0 && ((unsigned char)text[cut] & 0xC0) == 0x80)
        cut--;
    stanch_buf_add(out, text, cut);
    stanch_buf_text(out, "...");
}

/* The value of a member in words; false when there is none. */
static bool add_value(struct stanch_buf *out, const json_t *value)
{
    if (!value || json_is_null(value))
        return false;
    if (json_is_string(value)) {
        add_cut(out, json_string_value(value), json_string_length(value));
        return json_string_length(value) > 0;
    }
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_json_write_short(value, &text);
    add_cut(out, stanch_buf_str(&text), text.len);
    return true;
}

static bool add_member(struct stanch_buf *out, const struct stanch_entry *entry, const char *name, size_t len)
{
    if (len == 2 && memcmp(name, "by", 2) == 0) {
        add_cut(out, entry->by, strlen(entry->by));
        return true;
    }
    if (len == 3 && memcmp(name, "run", 3) == 0 && entry->run) {
        add_cut(out, entry->run, strlen(entry->run));
        return true;
    }
    return add_value(out, json_object_getn(entry->data, name, len));
}

/* Copy text up to `end`, filling in members; false when one was missing. */
static bool add_filled(struct stanch_buf *out, const struct stanch_entry *entry, const char *text, const char *end)
{
    bool whole = true;
    while (text < end) {
        const char *close = *text == '{' ? memchr(text, '}', (size_t)(end - text)) : NULL;
        if (!close) {
            stanch_buf_char(out, *text++);
            continue;
        }
        if (!add_member(out, entry, text + 1, (size_t)(close - text - 1)))
            whole = false;
        text = close + 1;
    }
    return whole;
}

char *stanch_entry_text(const struct stanch_entry *entry)
{
    const struct stanch_kind *kind = stanch_kind_find(entry->kind);
    if (!kind)
        return stanch_asprintf("%s (a kind that this release does not know)", entry->kind);
    struct stanch_buf out = {0};
    const char *text = kind->text, *end = text + strlen(text);
    while (text < end) {
        const char *open = memchr(text, '[', (size_t)(end - text));
        const char *close = open ? memchr(open, ']', (size_t)(end - open)) : NULL;
        if (!close)
            open = end;
        (void)add_filled(&out, entry, text, open);
        if (open == end)
            break;
        STANCH_AUTO_BUF struct stanch_buf part = {0};
        if (add_filled(&part, entry, open + 1, close))
            stanch_buf_add(&out, part.data, part.len);
        text = close + 1;
    }
    return stanch_buf_take(&out);
}
