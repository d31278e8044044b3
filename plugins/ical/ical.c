/* ical.c: calendars that others publish: who is on call, when nothing may be deployed. Reads, and nothing else; the feed is
 * parsed in this plugin's own host. */
#include "ical.h"
#include <stdlib.h>

#define WHEN(name, about)                                                                                              \
    "\"" name "\":{\"type\":\"any\",\"summary\":\"" about "; milliseconds since 1970, or RFC 3339\"}"
#define COUNT(name, low, high, about)                                                                                  \
    "\"" name "\":{\"type\":\"integer\",\"minimum\":" low ",\"maximum\":" high ",\"summary\":\"" about "\"}"
#define LIMIT COUNT("limit", "1", "2000", "how many windows at most; 200 when it is left out")

static const char declaration[] =
    "{\"name\":\"ical\",\"version\":\"0.1.0\",\"summary\":\"iCalendar feeds: on-call rosters, change freezes\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"summary\":\"where the feed is (https://, not webcal://); or "
    "file\"},"
    "\"secret_path\":{\"type\":\"string\",\"secret\":true,\"summary\":\"what stands behind url, when the address "
    "itself is "
    "the key: /private/TOKEN/feed/ID\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"sent as bearer token\"},"
    "\"user\":{\"type\":\"string\",\"summary\":\"sent as basic credentials, with password\"},"
    "\"password\":{\"type\":\"string\",\"secret\":true,\"summary\":\"of user\"},"
    "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\",\"summary\":\"certificates to trust instead of the "
    "system's\"},"
    "\"file\":{\"type\":\"string\",\"format\":\"file\",\"summary\":\"a feed on this machine; or url\"},"
    "\"timezone\":{\"type\":\"string\",\"summary\":\"of times and days without one: Europe/Berlin; the feed's own "
    "X-WR-TIMEZONE, or else UTC, when it is not set\"},"
    "\"unreadable\":{\"type\":\"string\",\"enum\":[\"fail\",\"skip\"],\"summary\":\"what becomes of a feed with an "
    "event "
    "that can't be read: it fails (when it is not set), or that event is left out and said\"},"          //
    COUNT("max_bytes", "1024", "67108864", "of the feed; 5 MiB when it is not set") ","                  //
    COUNT("max_components", "1", "200000", "events and their parts in it; 20000 when it is not set") "," //
    COUNT(
        "max_occurrences", "1", "100000",
        "of all events in the time that is asked for; 10000 when it is not set") "},"
                                                                                 "\"check\":{\"summary\":\"reads the "
                                                                                 "feed; says how many events it has, "
                                                                                 "and what is under way\","
                                                                                 "\"deadline_ms\":20000},"
                                                                                 "\"actions\":{"
                                                                                 "\"windows\":{\"summary\":\"what "
                                                                                 "happens within a stretch of "
                                                                                 "time\",\"effect\":\"read\",\"class\":"
                                                                                 "\"read-only\","
                                                                                 "\"deadline_ms\":20000,\"params\":"
                                                                                 "{" WHEN("from", "its beginning") "," WHEN(
                                                                                     "to",
                                                                                     "its end") "," LIMIT "},"
                                                                                                "\"required\":["
                                                                                                "\"from\",\"to\"]},"
                                                                                                "\"now\":{\"summary\":"
                                                                                                "\"what is under "
                                                                                                "way\",\"effect\":"
                                                                                                "\"read\",\"class\":"
                                                                                                "\"read-only\","
                                                                                                "\"deadline_ms\":20000,"
                                                                                                "\"params\":{" WHEN(
                                                                                                    "at",
                                                                                                    "when; now when it "
                                                                                                    "is left out") "," LIMIT
                                                                                                                   "}}}"
                                                                                                                   "}";

static void close_instance(void *state)
{
    ical_feed_close(state);
    free(state);
    icalmemory_free_ring(); /* libical's own texts */
}

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    struct ical_state *state = ical_room(sizeof *state);
    icalerror_set_errors_are_fatal(false); /* in whatever way it was built: a malformed line ends no process */
    const char *why = ical_feed_open(instance, state);
    if (why)
        close_instance(state);
    else
        *ret_state = state;
    return why;
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, ical_check},
    {"windows", STANCH_OP_READ, ical_windows},
    {"now", STANCH_OP_READ, ical_now},
    {0},
};
static const struct sdk_plugin plugin = {
    .declaration = declaration, .handlers = handlers, .open = open_instance, .close = close_instance};
STANCH_PLUGIN(plugin)
