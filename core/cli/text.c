/* text.c: text out of events, plugins and people, made safe for a terminal. Stored raw, escaped at each output:
 * what could move the cursor, change colours, or turn the direction of the line around is shown as U+FFFD. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>
#include <wchar.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* One UTF-8 sequence. returns its length, 0 when it is none; strict: no overlong forms, no surrogates */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    uint32_t c = len == 1 ? s[0] : len ? s[0] & (0xffu >> (len + 1)) : 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    if (len == 0 || (len > 1 && c < least[len]) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return len;
}

static bool is_control(uint32_t c)
{
    static const struct {
        uint32_t from, to;
    } ranges[] = {
        {0, 0x1f},        {0x7f, 0x9f},       {0xad, 0xad},       {0x61c, 0x61c},   {0x180e, 0x180e},
        {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},   {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
        {0xfff9, 0xfffb}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].from && c <= ranges[i].to)
            return true;
    return false;
}

void stanch_cli__clean(const char *text, struct stanch_buf *out)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        uint32_t c = 0;
        size_t len = decode(s, &c);
        if (*s == '\n' || *s == '\t' || *s == '\r')
            stanch_buf_char(out, ' ');
        else if (len == 0 || is_control(c))
            stanch_buf_text(out, REPLACEMENT);
        else
            stanch_buf_add(out, s, len);
        s += len ? len : 1;
    }
}

/* A list of texts as people write it: a, b. returns false when it holds anything else */
static bool join_texts(const json_t *list, struct stanch_buf *out)
{
    json_t *item;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        if (!json_is_string(item))
            return false;
        stanch_buf_printf(out, "%s%s", i ? ", " : "", json_string_value(item));
    }
    return true;
}

static bool is_empty(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

char *stanch_cli__one_line(const json_t *value)
{
    STANCH_AUTO_BUF struct stanch_buf raw = {0};
    struct stanch_buf clean = {0};
    if (json_is_string(value))
        stanch_buf_text(&raw, json_string_value(value));
    else if (!is_empty(value) && !(json_is_array(value) && join_texts(value, &raw))) {
        stanch_buf_clear(&raw);
        stanch_json_write(value, &raw);
    }
    stanch_cli__clean(stanch_buf_str(&raw), &clean);
    return stanch_buf_take(&clean);
}

int stanch_cli__width(const char *clean)
{
    const unsigned char *s = (const unsigned char *)clean;
    int width = 0;
    while (*s) {
        uint32_t c = 0;
        size_t len = decode(s, &c);
        int columns = len ? wcwidth((wchar_t)c) : 1;
        width += columns < 0 ? 1 : columns;
        s += len ? len : 1;
    }
    return width;
}
