/* text.c: text of alerts, labels, plugins and people inside Markdown and HTML. Whatever could be markup is escaped, what
 * moves the cursor or turns the line around becomes U+FFFD, and a line break a space: it stays one line of letters. */
#include "report/room.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* Two and three bytes of UTF-8 that are not seen, or turn the direction of the text around. */
static bool is_invisible(const unsigned char *s, size_t len)
{
    if (len == 2)
        return (s[0] == 0xc2 && (s[1] < 0xa0 || s[1] == 0xad)) || (s[0] == 0xd8 && s[1] == 0x9c);
    if (len != 3)
        return len == 4 && s[0] == 0xf3 && s[1] == 0xa0;
    unsigned point = (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
    return (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2060 && point <= 0x206f) || (point >= 0xfe00 && point <= 0xfe0f) || point == 0xfeff ||
           (point >= 0xfff9 && point <= 0xfffb) || point == 0x180e;
}

static size_t sequence(const unsigned char *s)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* What is markup anywhere in a line; `@` and `://` and `www.` are made links of without any brackets. */
static bool is_markup(const unsigned char *s, size_t at)
{
    if (strchr("\\`*_[]|~#@$", *s))
        return true;
    if (*s == ':')
        return s[1] == '/' && s[2] == '/';
    return *s == '.' && at >= 3 && memcmp(s - 3, "www", 3) == 0;
}

static void add_ascii(const unsigned char *s, size_t at, struct stanch_buf *out)
{
    if (*s == '<' || *s == '>' || *s == '&')
        stanch_buf_text(out, *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : "&amp;");
    else if ((at == 0 && strchr("-+.:!)", *s)) || is_markup(s, at))
        stanch_buf_printf(out, "\\%c", *s);
    else
        stanch_buf_char(out, (char)*s);
}

/* What a report shows in place of the letter at `s`, of `len` bytes (0: it is none); NULL: the letter itself */
static const char *in_place_of(const unsigned char *s, size_t len)
{
    if (strchr("\n\t\r", *s))
        return " ";
    bool is_shown = len > 0 && *s >= 0x20 && *s != 0x7f && (len == 1 || !is_invisible(s, len));
    return is_shown ? NULL : REPLACEMENT;
}

/* "1. " and "1) " at the beginning would begin a list. returns how many bytes were taken */
static size_t add_number(const unsigned char *s, struct stanch_buf *out)
{
    size_t digits = strspn((const char *)s, "0123456789");
    if (digits == 0 || (s[digits] != '.' && s[digits] != ')') || !strchr(" \t\r\n", s[digits + 1]))
        return 0;
    stanch_buf_add(out, s, digits);
    stanch_buf_printf(out, "\\%c", s[digits]);
    return digits + 1;
}

void stanch_report__escape(const char *text, struct stanch_buf *out)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s && strchr(" \t\r\n", *s))
        s++;
    const unsigned char *first = s;
    s += add_number(s, out);
    while (*s) {
        size_t len = sequence(s);
        const char *other = in_place_of(s, len);
        if (other)
            stanch_buf_text(out, other);
        else if (len == 1)
            add_ascii(s, (size_t)(s - first), out);
        else
            stanch_buf_add(out, s, len);
        s += len ? len : 1;
    }
}

void stanch_report_escape(const char *text, struct stanch_buf *out)
{
    stanch_report__escape(text, out);
}

void stanch_report_escape_html(const char *text, struct stanch_buf *out)
{
    static const struct {
        char letter;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    const unsigned char *s = (const unsigned char *)text;
    for (size_t len; *s; s += len ? len : 1) {
        len = sequence(s);
        const char *shown = in_place_of(s, len);
        for (size_t i = 0; !shown && i < sizeof entities / sizeof *entities; i++)
            shown = (char)*s == entities[i].letter ? entities[i].entity : NULL;
        if (shown)
            stanch_buf_text(out, shown);
        else
            stanch_buf_add(out, s, len);
    }
}
