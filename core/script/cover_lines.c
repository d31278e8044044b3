/* cover_lines.c: a reader of what lua_dump writes, for the lines of the instructions in it and in the functions inside.
 *
 *   header, then function := source, first line, last line, parameters, is vararg, stack, code, constants, upvalues,
 *                            functions, lineinfo, abslineinfo, names of locals, names of upvalues
 *
 * A number is 7 bits a byte, the highest first, the last byte marked with 0x80; a text is its length + 1, then its bytes. The
 * line of an instruction is the one before plus its lineinfo (a signed byte), or, where that is -128, the next abslineinfo's.
 * Every length is checked, though what is read comes from this Lua: the source it was made from is not trusted.
 * Source: the reference implementation of Lua 5.4 (ldump.c, lundump.c, ldebug.c, lopcodes.h). */
#include "script/cover.h"
#include "base/mem.h"
#include <ctype.h>
#include <limits.h>
#include <string.h>

#define KNOWN_VERSION 0x54
#define KNOWN_FORMAT  0
#define MAX_DEPTH     256 /* functions inside each other; Lua itself stops at 200 */

/* Lua 5.4's numbers of opcodes (the lowest 7 bits), and of types of constants. */
enum { OP_CLOSE = 54, OP_JMP = 56, OP_SETLIST = 78, OP_EXTRAARG = 82 };
enum { CONSTANT_INTEGER = 0x03, CONSTANT_FLOAT = 0x13, CONSTANT_SHORT_TEXT = 0x04, CONSTANT_LONG_TEXT = 0x14 };

struct dump {
    const unsigned char *at, *end;
    bool broken;
    unsigned char *has_code; /* by line; 1 is the first */
    size_t lines;
};

struct function {
    const unsigned char *code; /* 4 bytes each */
    size_t size;
    size_t first_line;
    bool is_vararg;
};

/* ---- bytes ---- */

/* NULL: there are not so many, and the dump is broken. */
static const unsigned char *read_bytes(struct dump *dump, size_t count, size_t each)
{
    const unsigned char *at = dump->at;
    if (dump->broken || count > (size_t)(dump->end - at) / each) {
        dump->broken = true;
        return NULL;
    }
    dump->at += count * each;
    return at;
}

static unsigned char read_byte(struct dump *dump)
{
    const unsigned char *at = read_bytes(dump, 1, 1);
    return at ? *at : 0;
}

static size_t read_number(struct dump *dump)
{
    size_t value = 0;
    unsigned char byte = 0;
    do {
        byte = read_byte(dump);
        if (value > (SIZE_MAX >> 7))
            dump->broken = true;
        value = value << 7 | (byte & 0x7f);
    } while (!(byte & 0x80) && !dump->broken);
    return dump->broken ? 0 : value;
}

static void pass_text(struct dump *dump)
{
    size_t size = read_number(dump);
    if (size > 0)
        read_bytes(dump, size - 1, 1);
}

/* ---- a function ---- */

static void pass_constants(struct dump *dump)
{
    for (size_t left = read_number(dump); left > 0 && !dump->broken; left--) {
        int type = read_byte(dump);
        if (type == CONSTANT_INTEGER)
            read_bytes(dump, 1, sizeof(lua_Integer));
        else if (type == CONSTANT_FLOAT)
            read_bytes(dump, 1, sizeof(lua_Number));
        else if (type == CONSTANT_SHORT_TEXT || type == CONSTANT_LONG_TEXT)
            pass_text(dump);
    }
}

static void pass_names(struct dump *dump)
{
    for (size_t left = read_number(dump); left > 0 && !dump->broken; left--) { /* locals */
        pass_text(dump);
        read_number(dump);
        read_number(dump);
    }
    for (size_t left = read_number(dump); left > 0 && !dump->broken; left--) /* upvalues */
        pass_text(dump);
}

/* What is run whenever the line's own work is, or never seen by the hook. */
static bool is_glue(const struct function *function, size_t pc)
{
    unsigned char op = 0;
    unsigned int instruction = 0;
    memcpy(&instruction, function->code + pc * 4, 4);
    op = instruction & 0x7f;
    if (pc + 1 == function->size || (pc == 0 && function->is_vararg)) /* the implicit return; the taking of `...` */
        return true;
    return op == OP_JMP || op == OP_CLOSE || op == OP_SETLIST || op == OP_EXTRAARG;
}

static void read_lines(struct dump *dump, const struct function *function)
{
    size_t count = read_number(dump), line = function->first_line;
    const unsigned char *steps = read_bytes(dump, count, 1);
    size_t absolute_left = read_number(dump);
    if (count != function->size)
        dump->broken = true; /* stripped */
    for (size_t pc = 0; pc < count && !dump->broken; pc++) {
        int step = steps[pc] < 0x80 ? steps[pc] : (int)steps[pc] - 0x100;
        line += (size_t)step; /* wraps where it is negative, and is checked below */
        if (step == -0x80) {
            dump->broken = absolute_left-- == 0 || read_number(dump) != pc || dump->broken;
            line = read_number(dump);
        }
        if (line > dump->lines)
            dump->broken = true;
        else if (!is_glue(function, pc))
            dump->has_code[line] = 1;
    }
    if (absolute_left > 0)
        dump->broken = true;
}

static void read_function(struct dump *dump, int depth)
{
    struct function function = {0};
    if (depth > MAX_DEPTH)
        dump->broken = true;
    pass_text(dump); /* source */
    function.first_line = read_number(dump);
    read_number(dump); /* last line */
    read_byte(dump);   /* parameters */
    function.is_vararg = read_byte(dump) != 0;
    read_byte(dump); /* stack */
    function.size = read_number(dump);
    function.code = read_bytes(dump, function.size, 4);
    pass_constants(dump);
    read_bytes(dump, read_number(dump), 3); /* upvalues */
    for (size_t left = read_number(dump); left > 0 && !dump->broken; left--)
        read_function(dump, depth + 1);
    read_lines(dump, &function);
    pass_names(dump);
}

static bool read_header(struct dump *dump)
{
    static const unsigned char begin[] = {
        0x1b, 'L',  'u',  'a', KNOWN_VERSION,       KNOWN_FORMAT,      0x19, 0x93, '\r',
        '\n', 0x1a, '\n', 4,   sizeof(lua_Integer), sizeof(lua_Number)};
    const lua_Integer integer = 0x5678;
    lua_Number number = 0;
    const unsigned char *at = read_bytes(dump, sizeof begin, 1);
    bool is_known = at && memcmp(at, begin, sizeof begin) == 0;
    at = read_bytes(dump, 1, sizeof integer);
    is_known = is_known && at && memcmp(at, &integer, sizeof integer) == 0;
    at = read_bytes(dump, 1, sizeof number);
    if (at)
        memcpy(&number, at, sizeof number);
    is_known = is_known && number == 370.5;
    read_byte(dump); /* upvalues of the chunk */
    return is_known && !dump->broken;
}

/* ---- the text ---- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Nothing in it but what closes: "  end },  -- why" */
static bool only_closes(const char *at, const char *end)
{
    bool closes = false;
    while (at < end) {
        if (isspace((unsigned char)*at)) {
            at++;
        } else if (memchr("}),;", *at, 4)) {
            closes = true;
            at++;
        } else if (end - at >= 3 && memcmp(at, "end", 3) == 0 && (end - at == 3 || !is_word(at[3]))) {
            closes = true;
            at += 3;
        } else {
            return closes && end - at >= 2 && at[0] == '-' && at[1] == '-' && (end - at == 2 || at[2] != '[');
        }
    }
    return closes;
}

static const char *end_of_line(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r')
        at++;
    return at;
}

/* Past "\n", "\r", "\r\n" or "\n\r", each of which Lua counts as one. */
static const char *pass_break(const char *at, const char *end)
{
    bool is_pair = end - at >= 2 && (at[1] == '\n' || at[1] == '\r') && at[1] != at[0];
    return at + (is_pair ? 2 : 1);
}

static json_t *list_lines(const struct dump *dump, const char *text, size_t len)
{
    json_t *list = json_array();
    const char *end = text + len;
    for (size_t line = 1; line <= dump->lines; line++) {
        const char *stop = end_of_line(text, end);
        if (dump->has_code[line] && !only_closes(text, stop))
            json_array_append_new(list, json_integer((json_int_t)line));
        if (stop == end)
            break;
        text = pass_break(stop, end);
    }
    return list;
}

json_t *stanch_cover_lines_of(const void *bytes, size_t len, const char *text, size_t text_len)
{
    struct dump dump = {.at = bytes, .end = (const unsigned char *)bytes + len, .lines = 1};
    if (!read_header(&dump))
        return NULL;
    for (size_t i = 0; i < text_len; i++)
        dump.lines += text[i] == '\n' || text[i] == '\r';
    STANCH_AUTO_FREE unsigned char *has_code = stanch_alloc(dump.lines + 1);
    dump.has_code = has_code;
    read_function(&dump, 0);
    return dump.broken || dump.at != dump.end ? NULL : list_lines(&dump, text, text_len);
}
