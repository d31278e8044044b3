/* print.c: tables and fields for people, JSON for programs. Everything that came from outside passes text.c. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <stdarg.h>
#include <string.h>

#define COLUMNS   10
#define CELL_COLS 72 /* a longer cell is cut, but for the last column */

struct stanch_cli__table {
    char **cells; /* row by row; the first row are the heads */
    int columns, rows;
};

static void add_row(struct stanch_cli__table *table)
{
    table->rows++;
    table->cells = stanch_realloc(table->cells, (size_t)(table->rows * table->columns) * sizeof(char *));
}

static char **cell_at(const struct stanch_cli__table *table, int row, int column)
{
    return &table->cells[row * table->columns + column];
}

/* The next word of a list; NULL at the end. */
static const char *next_word(const char **at, size_t *ret_len)
{
    *at += strspn(*at, " ");
    const char *word = *at;
    *ret_len = strcspn(word, " ");
    *at += *ret_len;
    return *ret_len ? word : NULL;
}

struct stanch_cli__table *stanch_cli__table_new(const char *heads)
{
    struct stanch_cli__table *table = STANCH_NEW(struct stanch_cli__table);
    const char *at = heads, *word;
    char *names[COLUMNS] = {0};
    size_t len;
    while (table->columns < COLUMNS && (word = next_word(&at, &len)))
        names[table->columns++] = stanch_strndup(word, len);
    add_row(table);
    for (int i = 0; i < table->columns; i++)
        *cell_at(table, 0, i) = names[i];
    return table;
}

static char *span_text(int64_t ms)
{
    char text[32];
    const char *sign = ms < 0 ? "-" : "";
    ms = ms < 0 ? -ms : ms;
    if (ms >= 3600000)
        ms -= ms % 60000; /* nobody wants the seconds of an hour */
    else
        ms -= ms % 1000;
    stanch_duration_text(ms, text);
    return stanch_asprintf("%s%s", sign, text);
}

static char *cell_text(const json_t *doc, const char *word, size_t len)
{
    STANCH_AUTO_FREE char *name = stanch_strndup(word, len);
    char kind = name[len - 1];
    if (kind != '~' && kind != '^')
        return stanch_cli__one_line(json_object_get(doc, name));
    name[len - 1] = 0;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s_ms", name);
    int64_t at_ms = stanch_json_int(doc, key, 0);
    if (at_ms <= 0)
        return stanch_strdup("");
    return span_text(kind == '~' ? stanch_wall_now_ms() - at_ms : at_ms - stanch_wall_now_ms());
}

void stanch_cli__table_row(struct stanch_cli__table *table, const json_t *doc, const char *members)
{
    const char *at = members, *word;
    size_t len;
    add_row(table);
    for (int i = 0; i < table->columns; i++) {
        word = next_word(&at, &len);
        *cell_at(table, table->rows - 1, i) = word ? cell_text(doc, word, len) : stanch_strdup("");
    }
}

static void cut_cell(char *cell)
{
    size_t end = strlen(cell);
    if (stanch_cli__width(cell) <= CELL_COLS)
        return;
    while (end > 0 && stanch_cli__width(cell) > CELL_COLS - 1) {
        do
            end--;
        while (end > 0 && ((unsigned char)cell[end] & 0xc0) == 0x80);
        cell[end] = 0;
    }
}

static int column_width(const struct stanch_cli__table *table, int column)
{
    int width = 0;
    for (int row = 0; row < table->rows; row++) {
        if (column < table->columns - 1)
            cut_cell(*cell_at(table, row, column));
        int one = stanch_cli__width(*cell_at(table, row, column));
        width = one > width ? one : width;
    }
    return width;
}

static void print_row(const struct stanch_cli *cli, const struct stanch_cli__table *table, int row, const int *widths)
{
    for (int i = 0; i < table->columns; i++) {
        const char *cell = *cell_at(table, row, i);
        bool is_last = i == table->columns - 1;
        const char *paint = row == 0 ? stanch_cli__bold(cli) : stanch_cli__paint(cli, cell);
        (void)fprintf(cli->out, "%s%s%s", paint, cell, *paint ? stanch_cli__plain(cli) : "");
        if (!is_last)
            (void)fprintf(cli->out, "%*s", widths[i] - stanch_cli__width(cell) + 2, "");
    }
    (void)fputc('\n', cli->out);
}

void stanch_cli__table_print(const struct stanch_cli *cli, struct stanch_cli__table *table, const char *nothing)
{
    int widths[COLUMNS];
    if (table->rows == 1)
        (void)fprintf(cli->out, "%s\n", nothing);
    for (int i = 0; i < table->columns; i++)
        widths[i] = column_width(table, i);
    for (int row = 0; row < table->rows && table->rows > 1; row++)
        print_row(cli, table, row, widths);
    for (int i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

bool stanch_cli__said_json(const struct stanch_cli *cli, const json_t *value)
{
    if (!cli->json)
        return false;
    /* ASCII only: what a terminal could act on is an escape of JSON (DEL, which is ASCII, is taken care of) */
    STANCH_AUTO_FREE char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_INDENT(2));
    for (const char *c = text; c && *c; c++) {
        if (*c == 0x7f)
            (void)fputs("\\u007f", cli->out);
        else
            (void)fputc(*c, cli->out);
    }
    (void)fputc('\n', cli->out);
    return true;
}

void stanch_cli__field_text(const struct stanch_cli *cli, const char *name, const char *text)
{
    STANCH_AUTO_BUF struct stanch_buf clean = {0};
    if (!text || !*text)
        return;
    stanch_cli__clean(text, &clean);
    (void)fprintf(cli->out, "%s%-12s%s  %s%s%s\n", stanch_cli__bold(cli), name, stanch_cli__plain(cli),
                  stanch_cli__paint(cli, stanch_buf_str(&clean)), stanch_buf_str(&clean), stanch_cli__plain(cli));
}

void stanch_cli__field(const struct stanch_cli *cli, const char *name, const json_t *value)
{
    STANCH_AUTO_FREE char *text = stanch_cli__one_line(value);
    stanch_cli__field_text(cli, name, text);
}

void stanch_cli__say(const struct stanch_cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(cli->out, fmt, args);
    va_end(args);
}

const char *stanch_cli__bold(const struct stanch_cli *cli)
{
    return cli->colour ? "\x1b[1m" : "";
}

const char *stanch_cli__plain(const struct stanch_cli *cli)
{
    return cli->colour ? "\x1b[0m" : "";
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

const char *stanch_cli__paint(const struct stanch_cli *cli, const char *state)
{
    static const char *const bad[] = {"failed", "sev1", "down", "disabled", "unknown", "firing", "voided", NULL};
    static const char *const waits[] = {"parked", "pending", "asked", "sev2", "starting", "undoing", "held", NULL};
    static const char *const good[] = {"succeeded", "resolved", "up", "undone", "granted", "ok", NULL};
    if (!cli->colour)
        return "";
    return is_one_of(state, bad)     ? "\x1b[31m"
           : is_one_of(state, waits) ? "\x1b[33m"
           : is_one_of(state, good)  ? "\x1b[32m"
                                     : "";
}

void stanch_cli__say_lines(const struct stanch_cli *cli, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        STANCH_AUTO_FREE char *line = stanch_strndup(text, len);
        STANCH_AUTO_BUF struct stanch_buf clean = {0};
        stanch_cli__clean(line, &clean);
        stanch_cli__say(cli, "%s\n", stanch_buf_str(&clean));
        text += len + (text[len] == '\n');
    }
}
