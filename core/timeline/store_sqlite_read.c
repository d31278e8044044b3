/* store_sqlite_read.c: what is committed, on the loop thread's connection. Statements are kept under their SQL;
 * one that is being read (a callback that reads again) is doubled for that time. */
#include "timeline/store_sqlite.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct statement {
    sqlite3_stmt *stmt;
    bool is_double;
};

static void end_statement(struct statement *statement)
{
    if (statement->is_double)
        sqlite3_finalize(statement->stmt);
    else if (statement->stmt) {
        sqlite3_reset(statement->stmt);
        sqlite3_clear_bindings(statement->stmt);
    }
}

static struct stanch_sqlite_read *find_slot(struct stanch_sqlite *self, const char *sql)
{
    for (int i = 0; i < READ_SLOTS; i++)
        if (!self->reads[i].sql || strcmp(self->reads[i].sql, sql) == 0)
            return &self->reads[i];
    return NULL;
}

static int begin_statement(struct stanch_sqlite *self, const char *sql, struct statement *ret, struct stanch_err *err)
{
    struct stanch_sqlite_read *slot = find_slot(self, sql);
    if (slot && slot->stmt && !sqlite3_stmt_busy(slot->stmt)) {
        *ret = (struct statement){.stmt = slot->stmt};
        return 0;
    }
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v3(self->reader, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (rc != SQLITE_OK)
        return stanch_sqlite__error(self->reader, rc, err, "the store cannot be read");
    bool is_kept = slot && !slot->stmt;
    if (is_kept) {
        slot->kept = stanch_strdup(sql);
        slot->sql = slot->kept;
        slot->stmt = stmt;
    }
    *ret = (struct statement){.stmt = stmt, .is_double = !is_kept};
    return 0;
}

void stanch_sqlite__drop_reads(struct stanch_sqlite *self)
{
    for (int i = 0; i < READ_SLOTS; i++) {
        sqlite3_finalize(self->reads[i].stmt);
        free(self->reads[i].kept);
        self->reads[i] = (struct stanch_sqlite_read){0};
    }
}

static void bind(sqlite3_stmt *stmt, const char *name, const char *value)
{
    int at = sqlite3_bind_parameter_index(stmt, name);
    if (at > 0)
        sqlite3_bind_text(stmt, at, value, -1, SQLITE_TRANSIENT);
}

static void bind_int(sqlite3_stmt *stmt, const char *name, int64_t value)
{
    int at = sqlite3_bind_parameter_index(stmt, name);
    if (at > 0)
        sqlite3_bind_int64(stmt, at, value);
}

/* One row by a key of one or two texts. returns 0 with the statement on its row | NOT_FOUND | ... */
static int find_row(struct stanch_sqlite *self, const char *sql, const char *a, const char *b, struct statement *ret,
                    struct stanch_err *err)
{
    int rc = begin_statement(self, sql, ret, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(ret->stmt, 1, a, -1, SQLITE_TRANSIENT);
    if (b)
        sqlite3_bind_text(ret->stmt, 2, b, -1, SQLITE_TRANSIENT);
    int step = sqlite3_step(ret->stmt);
    if (step == SQLITE_ROW)
        return 0;
    if (step == SQLITE_DONE)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "the store has no %s%s%s", a, b ? " " : "", b ? b : "");
    return stanch_sqlite__error(self->reader, step, err, "the store cannot be read");
}

static int read_head(struct stanch_store *store, const char *chain, int64_t *ret_n, char ret_hash[65],
                     struct stanch_err *err)
{
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = find_row(stanch_sqlite__of(store), "SELECT n, hash FROM head WHERE chain = ?1", chain, NULL, &st, err);
    bool found = rc == 0;
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        return rc;
    *ret_n = found ? sqlite3_column_int64(st.stmt, 0) : 0;
    (void)snprintf(ret_hash, 65, "%s", found ? stanch_sqlite__text(st.stmt, 1) : STANCH_HASH_ZERO);
    return 0;
}

static int read_heads(struct stanch_store *store, json_t **ret, struct stanch_err *err)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = begin_statement(self, "SELECT chain, n, hash FROM head ORDER BY chain", &st, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *heads = json_array();
    int step;
    while ((step = sqlite3_step(st.stmt)) == SQLITE_ROW) {
        json_t *head = json_object();
        json_object_set_new(head, "chain", json_string(stanch_sqlite__text(st.stmt, 0)));
        json_object_set_new(head, "n", json_integer(sqlite3_column_int64(st.stmt, 1)));
        json_object_set_new(head, "hash", json_string(stanch_sqlite__text(st.stmt, 2)));
        json_array_append_new(heads, head);
    }
    if (step != SQLITE_DONE)
        return stanch_sqlite__error(self->reader, step, err, "the heads cannot be read");
    *ret = STANCH_TAKE(heads);
    return 0;
}

static int read_counter(struct stanch_store *store, const char *prefix, int64_t *ret_value, struct stanch_err *err)
{
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = find_row(stanch_sqlite__of(store), "SELECT value FROM counter WHERE prefix = ?1", prefix, NULL, &st, err);
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        return rc;
    *ret_value = rc == 0 ? sqlite3_column_int64(st.stmt, 0) : 0;
    return 0;
}

/* The text at `column` and its checksum behind it: what is acted on is what was written. */
static int parse_doc(sqlite3_stmt *stmt, int column, json_t **ret, struct stanch_err *err)
{
    const char *text = stanch_sqlite__text(stmt, column), *sum = stanch_sqlite__text(stmt, column + 1);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    char actual[65];
    stanch_digest_hex(text, len, actual);
    if (strcmp(actual, sum) != 0)
        return stanch_err_set(err, STANCH_E_CORRUPT,
                              "a stored document is damaged; `stanch timeline rebuild` makes it again");
    return stanch_store_parse(text, len, ret, err);
}

static int read_doc(struct stanch_store *store, const char *noun, const char *id, json_t **ret, struct stanch_err *err)
{
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc =
        find_row(stanch_sqlite__of(store), "SELECT text, sum FROM doc WHERE noun = ?1 AND id = ?2", noun, id, &st, err);
    return rc < 0 ? rc : parse_doc(st.stmt, 0, ret, err);
}

/* The least text that is greater than all that begin with `prefix`: its last byte plus one (ids are ASCII). */
static char *end_of_prefix(const char *prefix)
{
    char *end = stanch_strdup(prefix);
    size_t len = strlen(end);
    if (len)
        end[len - 1]++;
    return end;
}

/* All rows of a statement that selects text and sum. */
static int read_docs(struct stanch_sqlite *self, sqlite3_stmt *stmt, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *docs = json_array();
    int step;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        json_t *doc;
        int rc = parse_doc(stmt, 0, &doc, err);
        if (rc < 0)
            return rc;
        json_array_append_new(docs, doc);
    }
    if (step != SQLITE_DONE)
        return stanch_sqlite__error(self->reader, step, err, "the documents cannot be read");
    *ret = STANCH_TAKE(docs);
    return 0;
}

static int list(struct stanch_store *store, const struct stanch_noun_query *query, json_t **ret, struct stanch_err *err)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    bool by_prefix = query->id_prefix && *query->id_prefix;
    STANCH_AUTO_FREE char *sql =
        stanch_asprintf("SELECT text, sum FROM doc INDEXED BY %s WHERE noun = :noun%s%s%s%s ORDER BY seq DESC"
                        " LIMIT :limit",
                        by_prefix          ? "doc_key"
                        : query->chain     ? "doc_chain"
                        : query->open == 1 ? "doc_open"
                                           : "doc_seq",
                        by_prefix ? " AND id >= :from AND id < :to" : " AND " STANCH_SQLITE_LISTED,
                        query->chain ? " AND chain = :chain" : "",
                        query->open < 0 ? ""
                        : query->open   ? " AND open = 1"
                                        : " AND open = 0",
                        query->before_seq > 0 ? " AND seq < :before" : "");
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = begin_statement(self, sql, &st, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_FREE char *end = by_prefix ? end_of_prefix(query->id_prefix) : NULL;
    bind(st.stmt, ":noun", query->noun);
    bind(st.stmt, ":from", query->id_prefix);
    bind(st.stmt, ":to", end);
    bind(st.stmt, ":chain", query->chain);
    bind_int(st.stmt, ":before", query->before_seq);
    bind_int(st.stmt, ":limit", query->limit);
    return read_docs(self, st.stmt, ret, err);
}

static int count_open(struct stanch_store *store, const char *noun, int64_t *ret, struct stanch_err *err)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = begin_statement(self,
                             "SELECT count(*) FROM doc INDEXED BY doc_open"
                             " WHERE noun = :noun AND " STANCH_SQLITE_LISTED " AND open = 1",
                             &st, err);
    if (rc < 0)
        return rc;
    bind(st.stmt, ":noun", noun);
    int step = sqlite3_step(st.stmt);
    if (step != SQLITE_ROW)
        return stanch_sqlite__error(self->reader, step, err, "the documents cannot be counted");
    *ret = sqlite3_column_int64(st.stmt, 0);
    return 0;
}

static int due(struct stanch_store *store, const struct stanch_due_query *query, json_t **ret, struct stanch_err *err)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = begin_statement(self,
                             "SELECT text, sum FROM doc INDEXED BY doc_due WHERE noun = :noun AND due IS NOT NULL"
                             " AND (due, seq) > (:after, :seq) AND due <= :until ORDER BY due, seq LIMIT :limit",
                             &st, err);
    if (rc < 0)
        return rc;
    bind(st.stmt, ":noun", query->noun);
    bind_int(st.stmt, ":after", query->after_ms);
    bind_int(st.stmt, ":seq", query->after_seq > 0 ? query->after_seq : INT64_MAX);
    bind_int(st.stmt, ":until", query->until_ms);
    bind_int(st.stmt, ":limit", query->limit);
    return read_docs(self, st.stmt, ret, err);
}

/* " AND kind NOT IN (...)" with the kinds that are details; they are from our own table. */
static void add_headline_filter(struct stanch_buf *sql)
{
    int count;
    const struct stanch_kind *kinds = stanch_kind_table(&count);
    stanch_buf_text(sql, " AND kind NOT IN (''");
    for (int i = 0; i < count; i++)
        if (kinds[i].level == STANCH_DETAIL)
            stanch_buf_printf(sql, ",'%s'", kinds[i].name);
    stanch_buf_text(sql, ")");
}

static int read_rows(struct stanch_store *store, const struct stanch_entry_query *query,
                     int (*each)(void *ctx, const struct stanch_row *row), void *ctx, struct stanch_err *err)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    STANCH_AUTO_BUF struct stanch_buf sql = {0};
    bool by_kind = query->kind_prefix && *query->kind_prefix;
    stanch_buf_text(&sql, "SELECT seq, chain, n, at_ms, kind, by, run, data, prev, hash, link FROM entry");
    stanch_buf_text(&sql, query->run ? " INDEXED BY entry_run" : query->chain ? " INDEXED BY entry_chain" : "");
    stanch_buf_text(&sql, " WHERE seq > :after");
    stanch_buf_text(&sql, query->chain ? " AND chain = :chain" : "");
    stanch_buf_text(&sql, query->run ? " AND run = :run" : "");
    stanch_buf_text(&sql, query->until_seq > 0 ? " AND seq <= :until" : "");
    stanch_buf_text(&sql, by_kind ? " AND kind >= :kind AND kind < :kind_end" : "");
    if (query->headlines_only)
        add_headline_filter(&sql);
    stanch_buf_text(&sql, " ORDER BY seq LIMIT :limit");
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = begin_statement(self, stanch_buf_str(&sql), &st, err);
    if (rc < 0)
        return rc;
    bind_int(st.stmt, ":after", query->after_seq);
    bind(st.stmt, ":chain", query->chain);
    bind(st.stmt, ":run", query->run);
    STANCH_AUTO_FREE char *kind_end = by_kind ? end_of_prefix(query->kind_prefix) : NULL;
    bind(st.stmt, ":kind", query->kind_prefix);
    bind(st.stmt, ":kind_end", kind_end);
    bind_int(st.stmt, ":until", query->until_seq);
    bind_int(st.stmt, ":limit", query->limit);
    int step;
    while ((step = sqlite3_step(st.stmt)) == SQLITE_ROW) {
        struct stanch_row row = {
            .seq = sqlite3_column_int64(st.stmt, 0),
            .chain = stanch_sqlite__text(st.stmt, 1),
            .n = sqlite3_column_int64(st.stmt, 2),
            .at_ms = sqlite3_column_int64(st.stmt, 3),
            .kind = stanch_sqlite__text(st.stmt, 4),
            .by = stanch_sqlite__text(st.stmt, 5),
            .run = (const char *)sqlite3_column_text(st.stmt, 6),
            .data = stanch_sqlite__text(st.stmt, 7),
            .data_len = (size_t)sqlite3_column_bytes(st.stmt, 7),
            .prev = stanch_sqlite__text(st.stmt, 8),
            .hash = stanch_sqlite__text(st.stmt, 9),
            .link = stanch_sqlite__text(st.stmt, 10),
        };
        if (each(ctx, &row))
            return 0;
    }
    return step == SQLITE_DONE ? 0 : stanch_sqlite__error(self->reader, step, err, "the entries cannot be read");
}

static int read_blob(struct stanch_store *store, const char *id, struct stanch_buf *ret, struct stanch_err *err)
{
    STANCH_CLEANUP(end_statement) struct statement st = {0};
    int rc = find_row(stanch_sqlite__of(store), "SELECT bytes FROM blob WHERE id = ?1", id, NULL, &st, err);
    if (rc < 0)
        return rc;
    const void *bytes = sqlite3_column_blob(st.stmt, 0);
    size_t len = (size_t)sqlite3_column_bytes(st.stmt, 0);
    if (len)
        stanch_buf_add(ret, bytes, len);
    return 0;
}

static int64_t read_wal_bytes(struct stanch_store *store)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db-wal", stanch_sqlite__of(store)->dir);
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

static bool use_reserve(struct stanch_store *store)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    if (self->reserve_fd < 0)
        return false;
    stanch_guard_release(self->dir, &self->reserve_fd);
    return true;
}

static bool refill_reserve(struct stanch_store *store)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    if (!self->reserve_bytes)
        return true;
    if (self->reserve_fd < 0)
        self->reserve_fd = stanch_guard_reserve(self->dir, self->reserve_bytes);
    return self->reserve_fd >= 0;
}

static void set_suspect(struct stanch_store *store)
{
    stanch_guard_set_suspect(stanch_sqlite__of(store)->dir, true);
}

const struct stanch_store_ops stanch_sqlite__ops = {
    .commit = stanch_sqlite__commit,
    .maintain = stanch_sqlite__maintain,
    .use_reserve = use_reserve,
    .refill_reserve = refill_reserve,
    .suspect = set_suspect,
    .checkpoint = stanch_sqlite__checkpoint,
    .head = read_head,
    .heads = read_heads,
    .counter = read_counter,
    .doc = read_doc,
    .list = list,
    .count = count_open,
    .due = due,
    .rows = read_rows,
    .blob = read_blob,
    .wal_bytes = read_wal_bytes,
    .close = stanch_sqlite__close,
};
