/* test_incident.c: to which incident an event belongs, and who holds its roles from the beginning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "base/loop_sim.h"
#include "base/mem.h"
#include "incident/incident.h"
#include "incident/roles.h"
#include "people/people.h"
#include "timeline/journal.h"
#include "timeline/store.h"
#include <string.h>

#define MINUTE 60000LL

struct fixture {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_people *people;
    struct stanch_incidents *incidents;
};

static void begin(struct fixture *f, const char *config, const char *people)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *data = people ? json_loads(people, 0, NULL) : NULL;
    STANCH_AUTO_JSON json_t *settings = json_loads(config, 0, NULL);
    memset(f, 0, sizeof *f);
    stanch_digest_init();
    assert_non_null(settings);
    f->loop = stanch_loop_sim_new(1700000000000, 100000);
    assert_int_equal(stanch_journal_open(f->loop, stanch_store_memory_new(), &f->journal, &err), 0);
    if (data && stanch_people_new(data, &f->people, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(stanch_incidents_new(f->journal, settings, f->people, NULL, &f->incidents, &err), 0);
}

static void end(struct fixture *f)
{
    stanch_incidents_free(f->incidents);
    stanch_people_free(f->people);
    stanch_journal_close(f->journal);
    stanch_loop_sim_free(f->loop);
}

static void append(struct fixture *f, struct stanch_batch *batch)
{
    struct stanch_err err = {0};
    assert_int_equal(stanch_journal_append(f->journal, batch, NULL, NULL, &err), 0);
    stanch_loop_sim_settle(f->loop);
}

/* An alert of this name in this state, in a batch of its own: its incident. */
static void event(struct fixture *f, const char *name, const char *state, char ret[64])
{
    STANCH_AUTO_JSON json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:{s:s}}", "id", "E-1", "kind", "alert", "name",
                                             name, "state", state, "labels", "alertname", name);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_incidents_new_batch(f->incidents);
    stanch_incident_for_event(f->incidents, doc, stanch_loop_wall_ms(f->loop), false, batch, ret);
    if (*ret)
        append(f, batch);
    else
        stanch_batch_free(batch);
}

static void resolve(struct fixture *f, const char *incident)
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s}", "incident", incident);
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err = {0};
    json_t *soak = NULL;
    assert_int_equal(
        stanch_incident_resolve(f->incidents, "person:ada", input, stanch_loop_wall_ms(f->loop), batch, &soak, &err),
        0);
    assert_null(soak); /* no run began in it */
    append(f, batch);
}

static void assert_is(struct fixture *f, const char *incident, const char *member, const char *value)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(f->journal, STANCH_VIEW_COMMITTED, "incident", incident);
    assert_string_equal(stanch_json_str(doc, member, ""), value);
}

static void assert_holder(struct fixture *f, const char *incident, const char *role, const char *holder)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(f->journal, STANCH_VIEW_COMMITTED, "incident", incident);
    assert_string_equal(stanch_role_holder(doc, role), holder);
}

#define BY_NAME "{\"correlate\":[\"alertname\"]}"

static void the_same_alert_soon_after_opens_it_again(void **state)
{
    (void)state;
    struct fixture f;
    char id[64];
    begin(&f, BY_NAME, NULL);
    event(&f, "a", "firing", id);
    assert_string_equal(id, "INC-1");
    resolve(&f, "INC-1");
    assert_is(&f, "INC-1", "state", "resolved");
    event(&f, "a", "resolved", id); /* that it is over opens nothing */
    assert_string_equal(id, "");
    event(&f, "b", "firing", id); /* another alert is another trouble */
    assert_string_equal(id, "INC-2");
    stanch_loop_sim_advance(f.loop, 29 * MINUTE);
    event(&f, "a", "firing", id);
    assert_string_equal(id, "INC-1");
    assert_is(&f, "INC-1", "state", "investigating");
    assert_is(&f, "INC-1", "reason", "a fires again");
    event(&f, "a", "firing", id); /* it is open: joined */
    assert_string_equal(id, "INC-1");
    resolve(&f, "INC-1");
    stanch_loop_sim_advance(f.loop, 30 * MINUTE);
    event(&f, "a", "firing", id);
    assert_string_equal(id, "INC-3");
    end(&f);
}

static void it_is_opened_again_for_as_long_as_is_said(void **state)
{
    (void)state;
    struct fixture f;
    char id[64];
    begin(&f, "{\"correlate\":[\"alertname\"],\"reopen_within_ms\":0}", NULL);
    event(&f, "a", "firing", id);
    resolve(&f, "INC-1");
    event(&f, "a", "firing", id);
    assert_string_equal(id, "INC-2");
    end(&f);
}

static void two_alerts_in_one_batch_open_it_once(void **state)
{
    (void)state;
    struct fixture f;
    char id[64];
    begin(&f, BY_NAME, NULL);
    event(&f, "a", "firing", id);
    resolve(&f, "INC-1");
    STANCH_AUTO_JSON json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:{s:s}}", "id", "E-2", "kind", "alert", "name", "a",
                                             "state", "firing", "labels", "alertname", "a");
    struct stanch_batch *batch = stanch_batch_new();
    stanch_incidents_new_batch(f.incidents);
    for (int i = 0; i < 2; i++) {
        stanch_incident_for_event(f.incidents, doc, stanch_loop_wall_ms(f.loop), false, batch, id);
        assert_string_equal(id, "INC-1");
    }
    append(&f, batch);
    STANCH_AUTO_JSON json_t *incident = stanch_journal_get(f.journal, STANCH_VIEW_COMMITTED, "incident", "INC-1");
    assert_int_equal(stanch_json_int(incident, "events", 0), 2); /* joined each time */
    end(&f);
}

/* ---- roles from the beginning ---- */

static const char house[] =
    "{\"people\":[{\"name\":\"ada\",\"may\":\"approve\"},{\"name\":\"grace\",\"may\":\"approve\"},"
    "{\"name\":\"alan\",\"may\":\"respond\"},{\"name\":\"eve\",\"may\":\"read\"}],"
    "\"roles\":{\"ic\":{\"people\":[\"alan\"]},\"lead\":{\"people\":[\"grace\"]},\"scribe\":{\"people\":[\"eve\"]}}}";

static void declare(struct fixture *f, const char *by, char ret[64])
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s}", "title", "t");
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err = {0};
    assert_int_equal(stanch_incident_declare(f->incidents, by, input, stanch_loop_wall_ms(f->loop), batch, ret, &err),
                     0);
    append(f, batch);
}

static void who_may_not_hold_a_role_is_not_given_it(void **state)
{
    (void)state;
    struct fixture f;
    char id[64];
    begin(&f, BY_NAME, house);
    event(&f, "a", "firing", id);
    assert_holder(&f, id, "ic", ""); /* on call, and may not approve */
    assert_holder(&f, id, "lead", "person:grace");
    assert_holder(&f, id, "scribe", "");
    declare(&f, "person:ada", id);
    assert_holder(&f, id, "ic", "person:ada");
    declare(&f, "person:alan", id);
    assert_holder(&f, id, "ic", "");
    declare(&f, "token:ci", id);
    assert_holder(&f, id, "ic", "");
    end(&f);
}

static void without_people_nobody_is_given_a_role(void **state)
{
    (void)state;
    struct fixture f;
    char id[64];
    begin(&f, BY_NAME, NULL);
    declare(&f, "person:ada", id);
    assert_holder(&f, id, "ic", "");
    end(&f);
}

static void who_holds_it_goes_on_when_it_is_opened_again(void **state)
{
    (void)state;
    struct fixture f;
    char id[64];
    begin(&f, BY_NAME, house);
    event(&f, "a", "firing", id);
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:s}", "incident", id, "role", "ic");
    struct stanch_role_change change;
    struct stanch_err err = {0};
    assert_int_equal(stanch_role_check(f.journal, f.people, "person:ada", input, &change, &err), 0);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_role_put(&change, "person:ada", batch);
    append(&f, batch);
    resolve(&f, id);
    event(&f, "a", "firing", id);
    assert_holder(&f, "INC-1", "ic", "person:ada");
    assert_holder(&f, "INC-1", "lead", "person:grace");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_alert_soon_after_opens_it_again),
        cmocka_unit_test(it_is_opened_again_for_as_long_as_is_said),
        cmocka_unit_test(two_alerts_in_one_batch_open_it_once),
        cmocka_unit_test(who_may_not_hold_a_role_is_not_given_it),
        cmocka_unit_test(without_people_nobody_is_given_a_role),
        cmocka_unit_test(who_holds_it_goes_on_when_it_is_opened_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
