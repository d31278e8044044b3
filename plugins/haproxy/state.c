/* state.c: the text of HAProxy's runtime API as values. Columns are found by their names, not by their place. */
#include "state.h"
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 160
#define MAX_SERVERS 20000
#define MAX_WEIGHT  256
#define MAX_COUNT   (INT64_C(1) << 40) /* of anything: sums and milliseconds of it do not overflow */

struct row {
    char *cell[MAX_COLUMNS];
    size_t count;
};

/* Cut one line off the text. returns NULL at its end */
static char *take_line(char **at)
{
    char *line = *at;
    char *end;
    if (!line || *line == '\0')
        return NULL;
    end = strchr(line, '\n');
    *at = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

/* Cells between single blanks: an empty cell stays a cell. */
static void cut_words(char *line, struct row *row)
{
    row->count = 0;
    while (line && row->count < MAX_COLUMNS) {
        row->cell[row->count++] = line;
        line = strchr(line, ' ');
        if (line)
            *line++ = '\0';
    }
}

/* CSV: a cell may be quoted, and a quote inside is doubled. */
static void cut_csv(char *line, struct row *row)
{
    row->count = 0;
    while (line && row->count < MAX_COLUMNS) {
        char *out = line, *in = line;
        bool is_quoted = *in == '"';
        row->cell[row->count++] = out;
        in += is_quoted;
        while (*in && (is_quoted || *in != ',')) {
            if (is_quoted && *in == '"' && *++in != '"') {
                is_quoted = false;
                continue;
            }
            *out++ = *in++;
        }
        line = *in == ',' ? in + 1 : NULL;
        *out = '\0';
    }
}

static int find_column(const struct row *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (strcmp(head->cell[i], name) == 0)
            return (int)i;
    return -1;
}

static const char *cell_at(const struct row *row, int column)
{
    return column >= 0 && (size_t)column < row->count ? row->cell[column] : NULL;
}

static bool parse_count(const char *text, int64_t *ret)
{
    char *end = NULL;
    if (!text || *text == '\0')
        return false;
    int64_t count = strtoll(text, &end, 10);
    if (*end != '\0' || count < 0 || count > MAX_COUNT)
        return false;
    *ret = count;
    return true;
}

/* ---- show servers state ---- */

static const char *check_version(struct sdk_call *call, const char *line, const char **ret_kind)
{
    *ret_kind = "remote";
    if (!line || *line == '\0') {
        *ret_kind = "protocol";
        return "HAProxy answered \"show servers state\" with nothing";
    }
    if (strcmp(line, "1") == 0)
        return NULL;
    if (strspn(line, "0123456789") == strlen(line)) {
        *ret_kind = "protocol";
        return sdk_text(call, "HAProxy describes its servers in format version %s; this plugin understands version 1",
                        line);
    }
    if (strstr(line, "find backend")) {
        *ret_kind = "not-found";
        return "";
    }
    if (strstr(line, "ermission denied")) {
        *ret_kind = "forbidden";
        return "HAProxy: permission denied: the stats socket needs \"level admin\"";
    }
    return sdk_text(call, "HAProxy answered \"show servers state\" with: %.200s", line);
}

static bool parse_server(struct sdk_call *call, const struct row *head, const struct row *row,
                         struct haproxy_server *ret)
{
    const char *name = cell_at(row, find_column(head, "srv_name"));
    *ret = (struct haproxy_server){.name = name ? sdk_text(call, "%s", name) : NULL, .check = ""};
    return name && parse_count(cell_at(row, find_column(head, "srv_op_state")), &ret->op) &&
           parse_count(cell_at(row, find_column(head, "srv_admin_state")), &ret->admin) &&
           parse_count(cell_at(row, find_column(head, "srv_uweight")), &ret->weight) && ret->weight <= MAX_WEIGHT &&
           parse_count(cell_at(row, find_column(head, "srv_iweight")), &ret->initial_weight);
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static const char *parse_servers(struct sdk_call *call, char *block, struct haproxy_backend *ret, const char **ret_kind)
{
    struct row *head = sdk_memory(call, sizeof *head), *row = sdk_memory(call, sizeof *row);
    char *line = take_line(&block);
    const char *why = check_version(call, line, ret_kind);
    if (why)
        return why;
    *ret_kind = "protocol";
    line = take_line(&block);
    if (!line || strncmp(line, "# ", 2) != 0)
        return "HAProxy's \"show servers state\" has no line of column names";
    cut_words(line + 2, head);
    size_t room = count_lines(block) + 1;
    ret->servers = sdk_memory(call, (room < MAX_SERVERS ? room : MAX_SERVERS) * sizeof *ret->servers);
    ret->count = 0;
    while ((line = take_line(&block)) && ret->count < MAX_SERVERS) {
        cut_words(line, row);
        if (!parse_server(call, head, row, &ret->servers[ret->count++]))
            return sdk_text(call, "a line of HAProxy's \"show servers state\" is not understood: %.120s", line);
    }
    return NULL;
}

/* ---- show stat ---- */

static const char *parse_stat(struct sdk_call *call, char *block, struct haproxy_backend *backend)
{
    struct row *head = sdk_memory(call, sizeof *head), *row = sdk_memory(call, sizeof *row);
    char *line = take_line(&block);
    if (!line || strncmp(line, "# ", 2) != 0)
        return sdk_text(call, "HAProxy answered \"show stat\" with: %.200s", line ? line : "nothing");
    cut_csv(line + 2, head);
    int proxy = find_column(head, "pxname"), name = find_column(head, "svname");
    int backup = find_column(head, "bck"), sessions = find_column(head, "scur");
    int status = find_column(head, "status");
    while ((line = take_line(&block)) && *line) {
        cut_csv(line, row);
        const char *of = cell_at(row, proxy), *called = cell_at(row, name), *word = cell_at(row, status);
        struct haproxy_server *server =
            of && called && strcmp(of, backend->name) == 0 ? haproxy_find(backend, called) : NULL;
        int64_t is_backup = 0;
        if (!server || !parse_count(cell_at(row, backup), &is_backup))
            continue; /* a line of a frontend, or of another backend */
        server->is_backup = is_backup != 0;
        server->has_stat = true;
        server->check = sdk_text(call, "%s", word ? word : "");
        (void)parse_count(cell_at(row, sessions), &server->sessions);
    }
    return NULL;
}

/* ---- show info ---- */

static int64_t info_count(const char *block, const char *name)
{
    const char *at = strstr(block, name);
    int64_t count = at ? strtoll(at + strlen(name), NULL, 10) : 0;
    return count > 0 && count <= MAX_COUNT ? count : 0;
}

struct haproxy_process haproxy_parse_info(char *text, int64_t now_ms)
{
    bool is_alone = strncmp(text, "\nName: ", 7) == 0; /* behind an empty block */
    char *block = is_alone ? text : strstr(text, "\n\nName: ");
    struct haproxy_process process = {0, 0};
    size_t len = strlen(text);
    if (!block || len < 2 || strcmp(text + len - 2, "\n\n") != 0)
        return process; /* not there, or cut */
    process.pid = info_count(block, "\nPid: ");
    process.started_at_ms = now_ms - info_count(block, "\nUptime_sec: ") * 1000;
    block[is_alone ? 1 : 2] = '\0';
    return process;
}

bool haproxy_is_other_process(struct haproxy_process a, struct haproxy_process b)
{
    if (a.pid <= 0 || b.pid <= 0)
        return false;
    return a.pid != b.pid || llabs((long long)(a.started_at_ms - b.started_at_ms)) > 5000;
}

const char *haproxy_parse(struct sdk_call *call, char *text, struct haproxy_backend *ret, const char **ret_kind)
{
    char *rest = strstr(text, "\n\n");
    if (rest) {
        rest[1] = '\0';
        rest += 2;
    }
    const char *why = parse_servers(call, text, ret, ret_kind);
    if (why)
        return why;
    size_t len = rest ? strlen(rest) : 0;
    if (len < 2 || strcmp(rest + len - 2, "\n\n") != 0)
        return "HAProxy's answer ends in the middle";
    return parse_stat(call, rest, ret);
}

/* ---- what it means ---- */

struct haproxy_server *haproxy_find(const struct haproxy_backend *backend, const char *name)
{
    for (size_t i = 0; i < backend->count; i++)
        if (strcmp(backend->servers[i].name, name) == 0)
            return &backend->servers[i];
    return NULL;
}

const char *haproxy_state_word(const struct haproxy_server *server)
{
    if (server->admin & HAPROXY_FORCED_MAINT)
        return "maint";
    return server->admin & HAPROXY_FORCED_DRAIN ? "drain" : "ready";
}

bool haproxy_is_usable(const struct haproxy_server *server)
{
    bool is_up = server->op == HAPROXY_OP_RUNNING || server->op == HAPROXY_OP_STARTING;
    return is_up && server->weight > 0 && !(server->admin & (HAPROXY_ANY_MAINT | HAPROXY_ANY_DRAIN));
}

static const struct haproxy_server *first_backup(const struct haproxy_backend *backend)
{
    for (size_t i = 0; i < backend->count; i++)
        if (backend->servers[i].is_backup && haproxy_is_usable(&backend->servers[i]))
            return &backend->servers[i];
    return NULL;
}

struct haproxy_capacity haproxy_capacity(const struct haproxy_backend *backend)
{
    struct haproxy_capacity sum = {0, 0, false};
    for (size_t i = 0; i < backend->count; i++) {
        const struct haproxy_server *server = &backend->servers[i];
        if (server->is_backup || !haproxy_is_usable(server))
            continue;
        sum.weight += server->weight;
        sum.servers++;
    }
    const struct haproxy_server *backup = sum.servers ? NULL : first_backup(backend);
    return backup ? (struct haproxy_capacity){backup->weight, 1, true} : sum;
}

double haproxy_share(const struct haproxy_backend *backend, const struct haproxy_server *server)
{
    struct haproxy_capacity all = haproxy_capacity(backend);
    bool serves = haproxy_is_usable(server) && (all.is_backup ? first_backup(backend) == server : !server->is_backup);
    return serves ? (double)server->weight / (double)all.weight : 0.0;
}

struct haproxy_backend haproxy_project(struct sdk_call *call, const struct haproxy_backend *backend, const char *name,
                                       const char *state, int64_t weight)
{
    struct haproxy_backend copy = *backend;
    copy.servers = sdk_memory(call, (copy.count + 1) * sizeof *copy.servers);
    for (size_t i = 0; i < copy.count; i++)
        copy.servers[i] = backend->servers[i];
    struct haproxy_server *server = haproxy_find(&copy, name);
    if (server && weight >= 0)
        server->weight = weight;
    if (!server || !state)
        return copy;
    if (server->admin & HAPROXY_FORCED_MAINT)
        server->op = HAPROXY_OP_RUNNING;
    server->admin &= ~(HAPROXY_FORCED_MAINT | HAPROXY_FORCED_DRAIN);
    if (strcmp(state, "drain") == 0)
        server->admin |= HAPROXY_FORCED_DRAIN;
    if (strcmp(state, "maint") == 0)
        server->admin |= HAPROXY_FORCED_MAINT;
    return copy;
}

json_t *haproxy_server_json(const struct haproxy_backend *backend, const struct haproxy_server *server)
{
    double share = haproxy_share(backend, server);
    return json_pack(
        "{s:s, s:s, s:b, s:b, s:s, s:I, s:I, s:b, s:I, s:f}", "name", server->name, "state", haproxy_state_word(server),
        "up", server->op == HAPROXY_OP_RUNNING || server->op == HAPROXY_OP_STARTING, "serving", share > 0, "check",
        server->check, "weight", (json_int_t)server->weight, "initial_weight", (json_int_t)server->initial_weight,
        "backup", server->is_backup, "sessions", (json_int_t)server->sessions, "share", share);
}
