/* prune.c: in rounds of some hundred incidents, each one transaction: what goes is gathered in temporary tables, signed
 * for, deleted, and the entry that says so is appended. The triggers that keep entries are away for that time only. */
#include "timeline/prune.h"
#include "timeline/sign.h"
#include "timeline/store_sqlite.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ?1: before. A round is bounded, so that its entry stays readable and its transaction short. */
static const char *const gather[] = {
    /* ended, nothing of it open or in force, silent since */
    "INSERT INTO temp.gone_chain SELECT id FROM doc d WHERE noun = 'incident' AND open = 0"
    " AND NOT EXISTS (SELECT 1 FROM doc o WHERE o.chain = d.id AND o.noun NOT IN ('key', 'event') AND o.open = 1)"
    " AND (SELECT max(at_ms) FROM entry e WHERE e.chain = d.id) < ?1 ORDER BY seq LIMIT 200",
    /* their events, and those of no incident that were not heard of again and need no run any more */
    "INSERT INTO temp.gone_event SELECT id, text ->> 'key', text ->> 'raw' FROM doc WHERE noun = 'event'"
    " AND chain IN (SELECT id FROM temp.gone_chain) AND ?1 > 0",
    "INSERT INTO temp.gone_event SELECT id, text ->> 'key', text ->> 'raw' FROM doc WHERE noun = 'event' AND chain = "
    "'-'"
    " AND text ->> 'updated_ms' < ?1 AND coalesce(text ->> 'matched', 1) ORDER BY seq LIMIT 2000",
    "INSERT INTO temp.gone SELECT seq, chain, n, hash, link FROM entry"
    " WHERE chain IN (SELECT id FROM temp.gone_chain) AND ?1 > 0",
    "INSERT INTO temp.gone SELECT seq, chain, n, hash, link FROM entry WHERE chain = '-' AND kind LIKE 'event.%'"
    " AND at_ms < ?1 AND data ->> 'event' IN (SELECT id FROM temp.gone_event)",
};
static const char tables[] =
    "CREATE TEMP TABLE gone_chain (id TEXT PRIMARY KEY);"
    "CREATE TEMP TABLE gone_event (id TEXT PRIMARY KEY, key TEXT, raw TEXT);"
    "CREATE TEMP TABLE gone (seq INTEGER PRIMARY KEY, chain, n, hash, link);"
    "CREATE TEMP TABLE keeper AS SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND "
    "name = 'entry_is_never_deleted';";
static const char empty[] = "DELETE FROM temp.gone_chain; DELETE FROM temp.gone_event; DELETE FROM temp.gone;";
static const char delete_all[] =
    "DROP TRIGGER main.entry_is_never_deleted;"
    "DELETE FROM entry WHERE seq IN (SELECT seq FROM temp.gone);"
    "DELETE FROM head WHERE chain IN (SELECT id FROM temp.gone_chain);"
    "DELETE FROM doc WHERE chain IN (SELECT id FROM temp.gone_chain);"
    "DELETE FROM doc WHERE noun = 'event' AND id IN (SELECT id FROM temp.gone_event);"
    "DELETE FROM doc WHERE noun = 'key' AND id IN (SELECT key FROM temp.gone_event);"
    "DELETE FROM blob WHERE id IN (SELECT raw FROM temp.gone_event) AND id NOT IN"
    " (SELECT text ->> 'raw' FROM doc WHERE noun = 'event' AND text ->> 'raw' IS NOT NULL);";

struct prune {
    struct stanch_sqlite *sqlite;
    sqlite3 *db;
    const char *dir, *by;
    int64_t before_ms, now_ms;
    struct stanch_prune_result *result;
};

static int run_sql(struct prune *prune, const char *sql, struct stanch_err *err)
{
    int rc = sqlite3_exec(prune->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : stanch_sqlite__error(prune->db, rc, err, "the timeline cannot be pruned");
}

static int gather_round(struct prune *prune, struct stanch_err *err)
{
    int rc = run_sql(prune, empty, err);
    for (size_t i = 0; rc == 0 && i < sizeof gather / sizeof *gather; i++) {
        sqlite3_stmt *stmt = NULL;
        int sql = sqlite3_prepare_v2(prune->db, gather[i], -1, &stmt, NULL);
        if (sql == SQLITE_OK) {
            sqlite3_bind_int64(stmt, 1, prune->before_ms);
            sql = sqlite3_step(stmt);
        }
        sqlite3_finalize(stmt);
        if (sql != SQLITE_DONE)
            rc = stanch_sqlite__error(prune->db, sql, err, "what ended cannot be read");
    }
    return rc;
}

static int64_t count(struct prune *prune, const char *table)
{
    STANCH_AUTO_FREE char *sql = stanch_asprintf("SELECT count(*) FROM temp.%s", table);
    sqlite3_stmt *stmt = NULL;
    int64_t found = 0;
    if (sqlite3_prepare_v2(prune->db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        found = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return found;
}

/* Rows that follow each other become one range [name?, from, to, hash at its end]. sql: name or NULL, place, hash */
static json_t *ranges(struct prune *prune, const char *sql, bool has_name)
{
    json_t *list = json_array(), *last = NULL;
    int at = has_name ? 1 : 0;
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(prune->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return list;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *name = stanch_sqlite__text(stmt, 0), *hash = stanch_sqlite__text(stmt, 2);
        int64_t place = sqlite3_column_int64(stmt, 1);
        bool follows = last && place == json_integer_value(json_array_get(last, (size_t)at + 1)) + 1 &&
                       (!has_name || strcmp(json_string_value(json_array_get(last, 0)), name) == 0);
        if (!follows) {
            last = json_array();
            if (has_name)
                json_array_append_new(last, json_string(name));
            json_array_append_new(last, json_integer(place));
            json_array_append_new(last, json_integer(place));
            json_array_append_new(last, json_string(hash));
            json_array_append_new(list, last);
            continue;
        }
        json_array_set_new(last, (size_t)at + 1, json_integer(place));
        json_array_set_new(last, (size_t)at + 2, json_string(hash));
    }
    sqlite3_finalize(stmt);
    return list;
}

static json_t *gone_incidents(struct prune *prune)
{
    json_t *list = json_array();
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(prune->db, "SELECT id FROM temp.gone_chain", -1, &stmt, NULL) == SQLITE_OK)
        while (sqlite3_step(stmt) == SQLITE_ROW)
            json_array_append_new(list, json_string(stanch_sqlite__text(stmt, 0)));
    sqlite3_finalize(stmt);
    return list;
}

/* The data of the entry, signed by the store's key. ret: new */
static int describe(struct prune *prune, json_t **ret, struct stanch_err *err)
{
    char before[32];
    STANCH_AUTO_FREE char *store = NULL;
    STANCH_AUTO_JSON json_t *signed_prune = NULL;
    stanch_time_text(prune->before_ms, before);
    int rc = stanch_sqlite__meta(prune->db, "store", &store, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *value =
        json_pack("{s:s, s:o, s:o}", "store", store ? store : "", "cuts",
                  ranges(prune, "SELECT chain, n, hash FROM temp.gone ORDER BY chain, n", true), "gaps",
                  ranges(prune, "SELECT NULL, seq, link FROM temp.gone ORDER BY seq", false));
    rc = stanch_sign(prune->dir, "prune", value, &signed_prune, err);
    if (rc < 0)
        return rc;
    *ret = json_pack("{s:s, s:o, s:I, s:I}", "before", before, "incidents", gone_incidents(prune), "events",
                     (json_int_t)count(prune, "gone_event"), "entries", (json_int_t)count(prune, "gone"));
    json_object_update(*ret, signed_prune);
    return 0;
}

static int insert(struct prune *prune, const struct stanch_entry *entry, const char *data, const char *link)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(prune->db,
                                "INSERT INTO entry (seq, chain, n, at_ms, kind, by, data, prev, hash, link)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        const char *const texts[] = {entry->kind, entry->by, data, entry->prev, entry->hash, link};
        sqlite3_bind_int64(stmt, 1, entry->seq);
        sqlite3_bind_text(stmt, 2, entry->chain, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 3, entry->n);
        sqlite3_bind_int64(stmt, 4, entry->at_ms);
        for (int i = 0; i < 6; i++)
            sqlite3_bind_text(stmt, 5 + i, texts[i], -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int set_head(struct prune *prune, const char *chain, int64_t n, const char *hash)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(prune->db,
                                "INSERT INTO head (chain, n, hash) VALUES (?1, ?2, ?3) ON CONFLICT (chain) DO UPDATE "
                                "SET n = excluded.n, hash = excluded.hash",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, chain, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 2, n);
        sqlite3_bind_text(stmt, 3, hash, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* The entry that says so, behind all others. */
static int append(struct prune *prune, const json_t *data, struct stanch_err *err)
{
    struct stanch_store *store = &prune->sqlite->base;
    struct stanch_entry entry = {
        .chain = STANCH_CHAIN_NONE, .kind = "timeline.pruned", .by = prune->by, .at_ms = prune->now_ms};
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    char before[65], link[65];
    int rc = store->ops->head(store, STANCH_CHAIN_NONE, &entry.n, entry.prev, err);
    if (rc == 0)
        rc = store->ops->head(store, STANCH_CHAIN_ALL, &entry.seq, before, err);
    if (rc == 0)
        rc = stanch_json_canonical(data, &text, err);
    entry.n++;
    entry.seq++;
    if (rc == 0)
        rc = stanch_entry_seal_text(&entry, stanch_buf_str(&text), text.len, err);
    if (rc < 0)
        return rc;
    stanch_store_link(entry.seq, before, entry.hash, link);
    int sql = insert(prune, &entry, stanch_buf_str(&text), link);
    if (sql == SQLITE_DONE)
        sql = set_head(prune, STANCH_CHAIN_NONE, entry.n, entry.hash);
    if (sql == SQLITE_DONE)
        sql = set_head(prune, STANCH_CHAIN_ALL, entry.seq, link);
    return sql == SQLITE_DONE ? 0 : stanch_sqlite__error(prune->db, sql, err, "the entry of it cannot be written");
}

/* The trigger that keeps entries, as it was. */
static int put_keeper_back(struct prune *prune, struct stanch_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = STANCH_E_CORRUPT;
    if (sqlite3_prepare_v2(prune->db, "SELECT sql FROM temp.keeper", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        STANCH_AUTO_FREE char *sql = stanch_strdup(stanch_sqlite__text(stmt, 0));
        sqlite3_finalize(stmt);
        return run_sql(prune, sql, err);
    }
    sqlite3_finalize(stmt);
    return stanch_err_set(err, rc, "the store has not the triggers of stanch");
}

static int write_round(struct prune *prune, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *data = NULL;
    int rc = describe(prune, &data, err);
    if (rc == 0)
        rc = run_sql(prune, delete_all, err);
    if (rc == 0)
        rc = put_keeper_back(prune, err);
    return rc == 0 ? append(prune, data, err) : rc;
}

/* returns 1 when there was something to prune */
static int run_round(struct prune *prune, bool only_look, struct stanch_err *err)
{
    int rc = run_sql(prune, "BEGIN IMMEDIATE", err);
    if (rc == 0)
        rc = gather_round(prune, err);
    int64_t entries = count(prune, "gone");
    if (rc == 0) {
        prune->result->incidents += count(prune, "gone_chain");
        prune->result->events += count(prune, "gone_event");
        prune->result->entries += entries;
    }
    if (rc == 0 && entries && !only_look)
        rc = write_round(prune, err);
    if (rc == 0)
        rc = run_sql(prune, "COMMIT", err);
    if (rc < 0)
        (void)sqlite3_exec(prune->db, "ROLLBACK", NULL, NULL, NULL); /* what cannot be rolled back was not committed */
    return rc < 0 ? rc : entries > 0;
}

/* Free pages go back to the file system in small steps (stores made before this was so keep theirs for new entries). */
static int give_back(struct prune *prune, struct stanch_err *err)
{
    int64_t before = 0, pages = -1;
    int rc = 0;
    for (sqlite3_stmt *stmt = NULL; rc == 0 && pages != before;) {
        before = pages;
        rc = run_sql(prune, "PRAGMA incremental_vacuum(256)", err);
        if (rc == 0 && sqlite3_prepare_v2(prune->db, "PRAGMA freelist_count", -1, &stmt, NULL) == SQLITE_OK &&
            sqlite3_step(stmt) == SQLITE_ROW)
            pages = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        stmt = NULL;
    }
    if (rc == 0 && sqlite3_wal_checkpoint_v2(prune->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
        return 0; /* a reader is there; the next start does it */
    return rc;
}

int stanch_timeline_prune(const char *store_dir, int64_t before_ms, int64_t now_ms, const char *by, bool only_look,
                          struct stanch_prune_result *ret, struct stanch_err *err)
{
    struct stanch_store *store;
    *ret = (struct stanch_prune_result){0};
    if (before_ms > now_ms - STANCH_PRUNE_LEAST_AGE_MS)
        return stanch_err_set(
            err, STANCH_E_REFUSED,
            "what is younger than 7 days is kept: a source may still repeat it, and a repeat of what is "
            "forgotten would be a new event");
    int rc = stanch_store_sqlite_open(store_dir, 0, 0, &store, err);
    if (rc < 0)
        return rc;
    struct stanch_sqlite *sqlite = stanch_sqlite__of(store);
    struct prune prune = {sqlite, sqlite->writer, store_dir, by, before_ms, now_ms, ret};
    rc = run_sql(&prune, tables, err);
    int more = rc == 0 ? run_round(&prune, only_look, err) : rc;
    while (more == 1 && !only_look)
        more = run_round(&prune, false, err);
    rc = more < 0 ? more : 0;
    if (rc == 0 && !only_look && ret->entries)
        rc = give_back(&prune, err);
    stanch_store_close(store);
    return rc;
}
