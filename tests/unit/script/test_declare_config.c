/* test_declare_config.c: stanch.lua and policy.lua: the data that comes out, and what is said of every mistake. */
#include "declare_kit.h"

static void a_full_configuration_becomes_data(void **state)
{
    (void)state;
    struct declared d;
    declare_text(
        &d, "config", "stanch.lua",
        "return stanch {\n"
        "  state_dir = '/s', listen = '[::1]:9', socket = '/s/sock', environment = 'prod',\n"
        "  plugin_dir = '/p', policy = 'policy.lua',\n"
        "  runbooks = { url = '/r.git', branch = 'live', folder = 'ops', poll = '1m', deadline = '5s',\n"
        "               allow_rewrite = true },\n"
        "  instances = {\n"
        "    alertmanager 'main' { token = secret.file '/etc/stanch/am.token' },\n"
        "    haproxy 'edge-eu' { environment = 'eu', sockets = { 'unix:/a', 'unix:/b' }, n = 1.0,\n"
        "                        nested = { password = secret.env 'PW' } },\n"
        "    prometheus 'p1',\n"
        "  },\n"
        "  incidents = { correlate = { 'alertname', 'service' }, join_within = '1h', soak_for = '1m',\n"
        "                declare_from = 'sev2',\n"
        "                severity = { label = 'prio', map = { p1 = 'sev1' }, otherwise = 'sev4',\n"
        "                             sources = { p1 = { label = 'prio', map = { P1 = 'sev1' } } } } },\n"
        "  limits = { max_runs = 8, max_queued = 9, max_steps = 10, events_per_s = 5, max_body_bytes = 2048,\n"
        "             storm = { enter = 5, leave = 1, within = '10s', quiet = '1m' } },\n"
        "  checkpoints = { every = '30m', file = '/x', webhook = 'https://example.org/in', token = secret.env 'HOOK' "
        "},\n"
        "  people = 'who.lua',\n"
        "  proxy = { secret = secret.env 'PROXY', user = 'X-User' },\n"
        "  paging = { via = { 'p1', 'main' }, url = 'https://stanch.example' },\n"
        "  drills = { tell = { 'p1' }, schedule = {\n"
        "    { name = 'gd', drill = 'checkout', kind = 'exercise', rule = 'FREQ=DAILY', from = '2026-01-06T10:00',\n"
        "      zone = 'Europe/Berlin', lasts = '2h', announce = '2d', remind = { '1h' }, late = '5m', speed = 10 },\n"
        "    { name = 'once', drill = 'db', kind = 'virtual', from = '2026-01-06T10:00' },\n"
        "    { name = 'soon', drill = 'db', kind = 'staging', from = '2026-01-06T10:00', announce = '1h' } } },\n"
        "  approvals = { expires = '10m' }, fresh_for = '1m', drain = '0s',\n"
        "}\n");
    assert_string_equal(d.err.text, "");
    assert_int_equal(d.rc, 0);
    assert_json(
        d.result,
        "{\"state_dir\":\"/s\",\"listen\":\"[::1]:9\",\"socket\":\"/s/sock\",\"environment\":\"prod\","
        "\"plugin_dir\":\"/p\",\"policy\":\"policy.lua\","
        "\"runbooks\":{\"url\":\"/r.git\",\"branch\":\"live\",\"folder\":\"ops\",\"poll_ms\":60000,"
        "\"deadline_ms\":5000,\"allow_rewrite\":true},"
        "\"instances\":[{\"name\":\"main\",\"plugin\":\"alertmanager\",\"environment\":\"prod\",\"line\":7,"
        "\"settings\":{\"token\":{\"$secret\":{\"file\":\"/etc/stanch/am.token\"}}}},"
        "{\"name\":\"edge-eu\",\"plugin\":\"haproxy\",\"environment\":\"eu\",\"line\":8,"
        "\"settings\":{\"sockets\":[\"unix:/a\",\"unix:/b\"],\"n\":1,"
        "\"nested\":{\"password\":{\"$secret\":{\"env\":\"PW\"}}}}},"
        "{\"name\":\"p1\",\"plugin\":\"prometheus\",\"environment\":\"prod\",\"line\":10,\"settings\":{}}],"
        "\"incidents\":{\"correlate\":[\"alertname\",\"service\"],\"join_within_ms\":3600000,\"reopen_within_ms\":"
        "1800000,\"soak_for_ms\":60000,"
        "\"declare_from\":\"sev2\",\"severity\":{\"label\":\"prio\",\"map\":{\"p1\":\"sev1\"},"
        "\"otherwise\":\"sev4\",\"sources\":{\"p1\":{\"label\":\"prio\",\"map\":{\"P1\":\"sev1\"}}}}},"
        "\"limits\":{\"max_runs\":8,\"max_queued\":9,\"storm\":{\"enter\":5,\"leave\":1,\"within_ms\":10000,"
        "\"quiet_ms\":60000},"
        "\"max_steps\":10,\"events_per_s\":5,\"max_body_bytes\":2048},"
        "\"approvals\":{\"expires_ms\":600000},\"checkpoints\":{\"every_ms\":1800000,\"file\":\"/x\",\"git\":null,"
        "\"webhook\":\"https://example.org/"
        "in\",\"token\":{\"$secret\":{\"env\":\"HOOK\"}}},"
        "\"people\":\"who.lua\",\"proxy\":{\"secret\":{\"$secret\":{\"env\":\"PROXY\"}},\"user\":\"X-User\"},"
        "\"paging\":{\"via\":[\"p1\",\"main\"],\"url\":\"https://"
        "stanch.example\"},"
        "\"drills\":{\"tell\":[\"p1\"],\"environments\":[],\"listen\":null,\"url\":null,\"schedule\":["
        "{\"name\":\"gd\",\"drill\":\"checkout\",\"kind\":\"exercise\",\"rule\":\"FREQ=DAILY\","
        "\"from\":\"2026-01-06T10:00\",\"zone\":\"Europe/Berlin\",\"lasts_ms\":7200000,\"announce_ms\":172800000,"
        "\"remind_ms\":[3600000],\"late_ms\":300000,\"speed\":10},"
        "{\"name\":\"once\",\"drill\":\"db\",\"kind\":\"virtual\",\"rule\":null,\"from\":\"2026-01-06T10:00\","
        "\"zone\":\"UTC\",\"lasts_ms\":3600000,\"announce_ms\":604800000,\"remind_ms\":[86400000,900000],"
        "\"late_ms\":600000,\"speed\":1},"
        "{\"name\":\"soon\",\"drill\":\"db\",\"kind\":\"staging\",\"rule\":null,\"from\":\"2026-01-06T10:00\","
        "\"zone\":\"UTC\",\"lasts_ms\":3600000,\"announce_ms\":3600000,\"remind_ms\":[900000],"
        "\"late_ms\":600000,\"speed\":1}]},"
        "\"fresh_for_ms\":60000,\"drain_ms\":0}");
    declared_done(&d);
}

static void an_empty_configuration_has_all_defaults(void **state)
{
    (void)state;
    struct declared d;
    declare_text(&d, "config", "stanch.lua", "stanch {}");
    assert_int_equal(d.rc, 0);
    assert_json(d.result,
                "{\"state_dir\":\"/var/lib/stanch\",\"listen\":\"127.0.0.1:8470\","
                "\"socket\":\"/run/stanch/control.sock\",\"environment\":null,\"plugin_dir\":null,\"policy\":null,"
                "\"runbooks\":null,\"instances\":[],"
                "\"incidents\":{\"correlate\":[\"alertname\"],\"join_within_ms\":1800000,\"reopen_within_ms\":1800000,"
                "\"soak_for_ms\":600000,"
                "\"declare_from\":\"sev4\","
                "\"severity\":{\"label\":\"severity\",\"map\":{\"critical\":\"sev2\",\"page\":\"sev1\","
                "\"warning\":\"sev3\"},\"otherwise\":\"sev3\",\"sources\":{}}},"
                "\"limits\":{\"max_runs\":64,\"max_queued\":1000,\"storm\":{\"enter\":60,\"leave\":20,\"within_ms\":"
                "60000,\"quiet_ms\":120000},"
                "\"max_steps\":1000,\"events_per_s\":1000,\"max_body_bytes\":1048576},"
                "\"approvals\":{\"expires_ms\":900000},\"checkpoints\":null,\"drills\":null,\"paging\":null,\"people\":"
                "null,\"proxy\":"
                "null,\"fresh_"
                "for_ms\":300000,"
                "\"drain_ms\":25000}");
    declared_done(&d);
    declare_text(&d, "config", "stanch.lua", "stanch { listen = false }");
    assert_true(json_is_null(json_object_get(d.result, "listen")));
    declared_done(&d);
}

static void every_mistake_in_a_configuration_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"", "stanch.lua:1: there is no stanch { ... } in this file"},
        {"local x = 1\nstanch {}\nstanch {}",
         "stanch.lua:3: there is a second stanch { ... }; the configuration is one"},
        {"stanch 'x'", "stanch.lua:1: expected { key = value, ... }, not \"x\""},
        {"stanch {\n state_dirr = '/x' }",
         "stanch.lua:1: state_dirr: there is no such key; did you mean \"state_dir\"?"},
        {"stanch { 'x' }", "stanch.lua:1: there is a value without a key; write it like key = value"},
        {"\nstanch { incidents = { join_within = '5 minutes' } }",
         "stanch.lua:2: incidents.join_within: \"5 minutes\" is not a duration; write it like 250ms, 15s, 10m, 2h or "
         "7d"},
        {"stanch { drain = 25 }", "stanch.lua:1: drain: expected a duration like \"15s\" or \"10m\", not 25"},
        {"stanch { approvals = { expires = '25h' } }", "stanch.lua:1: approvals.expires: expected 1s to 1d"},
        {"stanch { fresh_for = '0s' }", "stanch.lua:1: fresh_for: expected 1s to 1d"},
        {"stanch { listen = '8470' }",
         "stanch.lua:1: listen: \"8470\" is not an address; write it like 127.0.0.1:8470 or [::1]:8470"},
        {"stanch { listen = '1.2.3.4:99999' }",
         "stanch.lua:1: listen: \"1.2.3.4:99999\" is not an address; write it like 127.0.0.1:8470 or [::1]:8470"},
        {"stanch { listen = '::1:80' }",
         "stanch.lua:1: listen: \"::1:80\" is not an address; write it like 127.0.0.1:8470 or [::1]:8470"},
        {"stanch { listen = true }", "stanch.lua:1: listen: expected \"address:port\" or false, not true"},
        {"stanch { state_dir = {} }", "stanch.lua:1: state_dir: expected a path, not a table"},
        {"stanch { state_dir = '' }", "stanch.lua:1: state_dir: expected a text, it is empty"},
        {"stanch { state_dir = 'a\\nb' }",
         "stanch.lua:1: state_dir: there is a line break or a control character in this text"},
        {"stanch { state_dir = '\\xff' }", "stanch.lua:1: state_dir: text that is not valid UTF-8 cannot be kept"},
        {"stanch { socket = ('/x'):rep(60) }",
         "stanch.lua:1: socket: a socket's path has at most 107 bytes, this one has 120"},
        {"stanch { environment = 'my prod' }",
         "stanch.lua:1: environment: \"my prod\" is not a name; use letters, digits, _ - and ., at most 64, beginning "
         "with a letter or digit"},
        {"stanch { runbooks = '/r' }", "stanch.lua:1: runbooks: expected { key = value, ... }, not \"/r\""},
        {"stanch { runbooks = {} }", "stanch.lua:1: runbooks.url: missing; expected a text"},
        {"stanch { runbooks = { url = '/r', folder = '../x' } }",
         "stanch.lua:1: runbooks.folder: \"../x\" is not a folder inside the repository"},
        {"stanch { runbooks = { url = '/r', allow_rewrite = 'yes' } }",
         "stanch.lua:1: runbooks.allow_rewrite: expected true or false, not \"yes\""},
        {"stanch { limits = { max_runs = 0 } }", "stanch.lua:1: limits.max_runs: expected 1 to 10000"},
        {"stanch { limits = { max_steps = 1.5 } }", "stanch.lua:1: limits.max_steps: expected a whole number, not 1.5"},
        {"stanch { limits = { max_steps = '9' } }",
         "stanch.lua:1: limits.max_steps: expected a whole number, not \"9\""},
        {"stanch { incidents = { correlate = 'alertname' } }",
         "stanch.lua:1: incidents.correlate: expected a list of texts, as in { \"a\", \"b\" }, not \"alertname\""},
        {"stanch { incidents = { correlate = { 'a', 7 } } }",
         "stanch.lua:1: incidents.correlate[2]: expected a text, not 7"},
        {"stanch { incidents = { declare_from = 'sev5' } }",
         "stanch.lua:1: incidents.declare_from: expected \"sev1\", \"sev2\", \"sev3\" or \"sev4\", not \"sev5\""},
        {"stanch { incidents = { severity = { map = { page = 1 } } } }",
         "stanch.lua:1: incidents.severity.map.page: expected \"sev1\", \"sev2\", \"sev3\" or \"sev4\", not 1"},
        {"stanch { instances = haproxy 'a' {} }",
         "stanch.lua:1: instances: expected a list of instances, as in { haproxy \"edge\" { ... } }, not an instance "
         "{...}\n"
         "stanch.lua:1: haproxy \"a\": it is not in the list instances = { ... }, so it would not exist"},
        {"stanch { instances = { { sockets = {} } } }",
         "stanch.lua:1: instances[1]: expected an instance, as in haproxy \"edge\" { ... }, not a table"},
        {"stanch { instances = { haproxy } }",
         "stanch.lua:1: instances[1]: expected an instance, as in haproxy \"edge\" { ... }, not a plugin {...}"},
        {"stanch { instances = {\n haproxy 'a' {},\n unleash 'a' {} } }",
         "stanch.lua:3: unleash \"a\": the name \"a\" is taken by another instance; names are unique over all plugins"},
        {"stanch { instances = { haproxy 'a b' {} } }",
         "stanch.lua:1: haproxy \"a b\": \"a b\" is not a name; use letters, digits, _ - and ., at most 64, beginning "
         "with a letter or digit"},
        {"stanch { instances = { haproxy 'a' { environment = 5 } } }",
         "stanch.lua:1: haproxy \"a\": environment: expected a name, not 5"},
        {"stanch { instances = {\n\n haproxy 'a' { sockets = { 'x', function() end } } } }",
         "stanch.lua:3: haproxy \"a\": sockets[2]: a function is not data"},
        {"stanch { instances = { haproxy 'a' { 'x' } } }",
         "stanch.lua:1: haproxy \"a\": expected { key = value, ... }, not a list"},
        {"stanch { instances = { haproxy 'a' { token = secret.file 'rel' } } }",
         "stanch.lua:1: haproxy \"a\": token: secret.file \"rel\": the path of a secret begins with /"},
        {"stanch { instances = { haproxy 'a' { deep = { token = secret.file(5) } } } }",
         "stanch.lua:1: haproxy \"a\": deep.token: expected secret.file \"/path\" or secret.env \"NAME\""},
        {"stanch { instances = { haproxy 'a' { token = secret.env 'A B' } } }",
         "stanch.lua:1: haproxy \"a\": token: secret.env \"A B\": not the name of an environment variable"},
        {"haproxy 'x' {}\nstanch {}",
         "stanch.lua:1: haproxy \"x\": it is not in the list instances = { ... }, so it would not exist"},
        {"stanch { instances = { haproxy 'a' { token = sercet.file '/x' } } }",
         "stanch.lua:1: there is nothing called \"sercet\"; did you mean \"secret\"?"},
        {"\nstnach { }", "stanch.lua:2: there is nothing called \"stnach\"; did you mean \"stanch\"?"},
        {"unleash {}", "stanch.lua:1: there is nothing called \"unleash\"; to configure a plugin, name the instance: "
                       "unleash \"main\" "
                       "{ ... }"},
        {"os.exit(1)",
         "stanch.lua:1: there is nothing called \"os\"; a plugin is configured as NAME \"instance\" { ... }"},
        {"stanch {", "stanch.lua:1: unexpected symbol near <eof>"},
        {"stanch {}\nerror 'stop'", "stanch.lua:2: stop"},
        {"stanch { statedir = '/x',\n drain = 5, instances = {\n haproxy 'a' { environment = '' } } }",
         "stanch.lua:1: drain: expected a duration like \"15s\" or \"10m\", not 5\n"
         "stanch.lua:1: statedir: there is no such key; did you mean \"state_dir\"?\n"
         "stanch.lua:3: haproxy \"a\": environment: expected a text, it is empty"},
    };
    check_mistakes("config", "stanch.lua", mistakes, sizeof mistakes / sizeof *mistakes);
}

static void severities_are_of_sources_that_there_are(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"stanch { incidents = { severity = { sources = { grafana = {} } } } }",
         "stanch.lua:1: incidents.severity.sources: there is no instance \"grafana\" in the list instances"},
        {"stanch { instances = { prometheus 'grafana' }, incidents = { severity = { sources = { grafana = { map = { P1 "
         "= 'worst' } } } } } }",
         "stanch.lua:1: incidents.severity.sources.grafana.map.P1: expected \"sev1\", \"sev2\", \"sev3\" or \"sev4\", "
         "not "
         "\"worst\""},
        {"stanch { instances = { prometheus 'grafana' }, incidents = { severity = { sources = { grafana = { lable = "
         "'x' } } } } }",
         "stanch.lua:1: incidents.severity.sources.grafana.lable: there is no such key; did you mean \"label\"?"},
        {"stanch { incidents = { severity = { sources = 'x' } } }",
         "stanch.lua:1: incidents.severity.sources: expected { NAME = { label = ..., map = ... }, ... }, not \"x\""},
    };
    check_mistakes("config", "stanch.lua", mistakes, sizeof mistakes / sizeof *mistakes);
}

static void a_policy_becomes_data(void **state)
{
    (void)state;
    struct declared d;
    declare_text(&d, "policy", "policy.lua",
                 "policy {\n"
                 "  auto = 'low',\n"
                 "  approve = { medium = { expires = '10m' }, high = { role = 'lead', quorum = 2 } },\n"
                 "  rule { 'edge drains', action = 'haproxy.drain', instance = 'edge-*', environment = 'prod',\n"
                 "         severity = { 'sev1', 'sev2' }, target = 'checkout/*', runbook = 'c*', effect = 'mitigate',\n"
                 "         max_reach = 0.5, risk = 'low' },\n"
                 "  rule { 'never', plugin = 'db', severity = 'sev3', risk = 'forbidden' },\n"
                 "  rule { 'killswitches', tag = 'killswitch', risk = 'low' },\n"
                 "  rule { 'not these', tag = { 'permanent', 'ops:*' }, risk = 'high' },\n"
                 "}\n");
    assert_string_equal(d.err.text, "");
    assert_json(
        d.result,
        "{\"auto\":\"low\",\"conflicts\":\"ask\",\"approve\":{\"medium\":{\"role\":\"ic\",\"expires_ms\":600000,"
        "\"quorum\":1},"
        "\"high\":{\"role\":\"lead\",\"expires_ms\":900000,\"quorum\":2}},"
        "\"rules\":[{\"name\":\"edge drains\",\"line\":4,\"when\":{\"plugin\":\"haproxy\",\"action\":\"drain\","
        "\"instance\":\"edge-*\",\"environment\":\"prod\",\"severity\":[\"sev1\",\"sev2\"],"
        "\"target\":\"checkout/*\",\"runbook\":\"c*\",\"effect\":\"mitigate\",\"max_reach\":0.5},\"risk\":\"low\"},"
        "{\"name\":\"never\",\"line\":7,\"when\":{\"plugin\":\"db\",\"severity\":[\"sev3\"]},"
        "\"risk\":\"forbidden\"},"
        "{\"name\":\"killswitches\",\"line\":8,\"when\":{\"tag\":[\"killswitch\"]},\"risk\":\"low\"},"
        "{\"name\":\"not these\",\"line\":9,\"when\":{\"tag\":[\"permanent\",\"ops:*\"]},\"risk\":\"high\"}]}");
    declared_done(&d);
    declare_text(
        &d, "policy", "policy.lua",
        "policy { remind = '0s', break_glass = { people = 'pool' }, approve = { low = { not_requester = true } },\n"
        "         escalation = { { to = 'lead', within = '15m' }, { to = 'pool' } } }");
    assert_json(d.result,
                "{\"auto\":\"none\",\"approve\":{\"low\":{\"role\":\"ic\",\"expires_ms\":900000,\"quorum\":1,"
                "\"not_requester\":true}},\"escalation\":[{\"to\":\"lead\",\"within_ms\":900000},"
                "{\"to\":\"pool\",\"within_ms\":1800000}],\"remind_ms\":0,\"break_glass\":{\"people\":\"pool\"},"
                "\"conflicts\":\"ask\",\"rules\":[]}");
    declared_done(&d);
    declare_text(&d, "policy", "policy.lua", "return policy {}");
    assert_json(d.result, "{\"auto\":\"none\",\"conflicts\":\"ask\",\"approve\":{},\"rules\":[]}");
    declared_done(&d);
    declare_text(&d, "policy", "policy.lua", "return policy { conflicts = 'allow' }");
    assert_string_equal(stanch_json_str(d.result, "conflicts", ""), "allow");
    declared_done(&d);
}

static void what_a_policy_counts_and_whom_it_trusts_becomes_data(void **state)
{
    (void)state;
    struct declared d;
    declare_text(&d, "policy", "policy.lua",
                 "policy {\n"
                 "  autonomy = 'suggest', autonomy_changed = 'auto',\n"
                 "  limits = { actions = '20/1h', per_target = '3/30m', cooldown = '5m', reach = 0.5 },\n"
                 "  breaker = { after = 2 },\n"
                 "  runbook_rule { 'watched', runbook = 'try-*', autonomy = 'observe' },\n"
                 "  rule { 'never', plugin = 'db', risk = 'forbidden' },\n"
                 "  runbook_rule { 'known', runbook = 'old-*', autonomy = 'auto', autonomy_changed = 'suggest' },\n"
                 "}\n");
    assert_string_equal(d.err.text, "");
    assert_json(d.result,
                "{\"auto\":\"none\",\"conflicts\":\"ask\",\"approve\":{},\"autonomy\":\"suggest\",\"autonomy_changed\":"
                "\"auto\","
                "\"limits\":{\"actions\":{\"count\":20,\"within_ms\":3600000},\"per_target\":{\"count\":3,"
                "\"within_ms\":1800000},\"cooldown_ms\":300000,\"reach\":0.5},"
                "\"breaker\":{\"after\":2,\"within_ms\":3600000,\"closes_after_ms\":1800000},"
                "\"rules\":[{\"name\":\"never\",\"line\":6,\"when\":{\"plugin\":\"db\"},\"risk\":\"forbidden\"}],"
                "\"runbook_rules\":[{\"name\":\"watched\",\"line\":5,\"runbook\":\"try-*\",\"autonomy\":\"observe\"},"
                "{\"name\":\"known\",\"line\":7,\"runbook\":\"old-*\",\"autonomy\":\"auto\","
                "\"autonomy_changed\":\"suggest\"}]}");
    declared_done(&d);
    declare_text(&d, "policy", "policy.lua", "policy { breaker = false }");
    assert_json(d.result, "{\"auto\":\"none\",\"approve\":{},\"breaker\":false,\"conflicts\":\"ask\",\"rules\":[]}");
    declared_done(&d);
}

static void every_mistake_in_a_policy_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"policy { limits = { actions = 20 } }",
         "policy.lua:1: limits.actions: expected a number and a time like \"3/1h\", not 20"},
        {"policy { limits = { per_instance = '3/30d' } }", "policy.lua:1: limits.per_instance: expected 1ms to 7d"},
        {"policy { limits = { reach = 2 } }", "policy.lua:1: limits.reach: expected 0 to 1"},
        {"policy { limits = { raech = 1 } }",
         "policy.lua:1: limits.raech: there is no such key; did you mean \"reach\"?"},
        {"policy { breaker = true }", "policy.lua:1: breaker: expected false, or a table like { after = 3 }, not true"},
        {"policy { breaker = { after = 0 } }", "policy.lua:1: breaker.after: expected 1 to 100"},
        {"policy { autonomy = 'some' }",
         "policy.lua:1: autonomy: expected \"auto\", \"suggest\" or \"observe\", not \"some\""},
        {"policy { runbook_rule { 'x', autonomy = 'auto' } }",
         "policy.lua:1: runbook_rule \"x\": runbook: missing; expected a glob"},
        {"policy {}\nrunbook_rule { 'x', runbook = 'y' }",
         "policy.lua:2: this rule stands outside of policy { ... }, so it would not count"},
        {"", "policy.lua:1: there is no policy { ... } in this file"},
        {"policy {}\npolicy {}", "policy.lua:2: there is a second policy { ... }; the policy is one"},
        {"policy { auto = 'all' }",
         "policy.lua:1: auto: expected \"none\", \"low\", \"medium\" or \"high\", not \"all\""},
        {"policy { conflicts = 'maybe' }", "policy.lua:1: conflicts: expected \"ask\" or \"allow\", not \"maybe\""},
        {"policy { aproove = {} }", "policy.lua:1: aproove: there is no such key; did you mean \"approve\"?"},
        {"policy { approve = { forbidden = {} } }",
         "policy.lua:1: approve.forbidden: there is no such key; there is low, medium, high"},
        {"policy { approve = { high = { quorum = 0 } } }", "policy.lua:1: approve.high.quorum: expected 1 to 10"},
        {"policy { approve = { high = { expires = '2d' } } }", "policy.lua:1: approve.high.expires: expected 1s to 1d"},
        {"policy { escalation = { to = 'pool' } }", "policy.lua:1: escalation: expected a list like { { to = \"lead\", "
                                                    "within = \"15m\" }, { to = \"pool\" } }, not a "
                                                    "table"},
        {"policy { escalation = { { within = '1m' } } }", "policy.lua:1: escalation[1].to: missing; expected \"role\", "
                                                          "\"ic\", \"lead\", \"comms\", \"scribe\", \"pool\""},
        {"policy { escalation = { { to = 'pool', within = '25h' } } }",
         "policy.lua:1: escalation[1].within: expected 1s to 1d"},
        {"policy { break_glass = { people = 'all' } }",
         "policy.lua:1: break_glass.people: expected \"pool\", not \"all\""},
        {"policy { { 'x', risk = 'low' } }",
         "policy.lua:1: [1]: expected rule { ... } or runbook_rule { ... }, not a table"},
        {"policy {\n rule { 'x' } }",
         "policy.lua:2: rule \"x\": risk: missing; expected \"low\", \"medium\", \"high\" or \"forbidden\""},
        {"policy { rule { risk = 'low' } }",
         "policy.lua:1: rule \"?\": name: expected a text in front, what the rule is about: rule { \"...\", ... }, not "
         "nothing"},
        {"policy { rule 'x' }", "policy.lua:1: rule \"?\": expected { key = value, ... }, not \"x\""},
        {"policy { rule { 'x', instnace = 'a', risk = 'low' } }",
         "policy.lua:1: rule \"x\": instnace: there is no such key; did you mean \"instance\"?"},
        {"policy { rule { 'x', risk = 'none' } }",
         "policy.lua:1: rule \"x\": risk: expected \"low\", \"medium\", \"high\" or \"forbidden\", not \"none\""},
        {"policy { rule { 'x', action = 'a.b.c', risk = 'low' } }",
         "policy.lua:1: rule \"x\": action: \"a.b.c\" is not an action; write \"drain\" or \"haproxy.drain\""},
        {"policy { rule { 'x', action = 'a.b', plugin = 'c', risk = 'low' } }",
         "policy.lua:1: rule \"x\": plugin: \"c\", but the action names the plugin \"a\""},
        {"policy { rule { 'x', severity = { 'sev9' }, risk = 'low' } }",
         "policy.lua:1: rule \"x\": severity[1]: expected \"sev1\", \"sev2\", \"sev3\" or \"sev4\", not \"sev9\""},
        {"policy { rule { 'x', severity = {}, risk = 'low' } }",
         "policy.lua:1: rule \"x\": severity: expected a list like { \"sev1\", \"sev2\" }, not a table"},
        {"policy { rule { 'x', tag = {}, risk = 'low' } }",
         "policy.lua:1: rule \"x\": tag: expected a glob, or a list like { \"killswitch\", \"ops:*\" }, not a table"},
        {"policy { rule { 'x', tag = '', risk = 'low' } }",
         "policy.lua:1: rule \"x\": tag: expected a text, it is empty"},
        {"policy { rule { 'x', tag = { 'a', 7 }, risk = 'low' } }",
         "policy.lua:1: rule \"x\": tag[2]: expected a text, not 7"},
        {"policy { rule { 'x', tag = string.rep('a', 257), risk = 'low' } }",
         "policy.lua:1: rule \"x\": tag: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is longer than a tag can be; "
         "at most "
         "256 bytes"},
        {"policy { rule { 'x', max_reach = 50, risk = 'low' } }",
         "policy.lua:1: rule \"x\": max_reach: expected 0 to 1"},
        {"policy { rule { 'x', effect = 'read', risk = 'low' } }",
         "policy.lua:1: rule \"x\": effect: expected \"mitigate\" or \"undo\", not \"read\""},
        {"policy { rule { 'x', risk = 'low' },\n rule { 'x', risk = 'high' } }",
         "policy.lua:2: rule \"x\": another rule has this name; it is what approvals and the timeline show"},
        {"rule { 'x', risk = 'low' }\npolicy {}",
         "policy.lua:1: this rule stands outside of policy { ... }, so it would not count"},
        {"polcy {}", "policy.lua:1: there is nothing called \"polcy\"; did you mean \"policy\"?"},
    };
    check_mistakes("policy", "policy.lua", mistakes, sizeof mistakes / sizeof *mistakes);
}

#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void people_become_data(void **state)
{
    (void)state;
    struct declared d;
    declare_text(&d, "people", "people.lua",
                 "people {\n"
                 "  person 'ada' { uid = 1000, email = 'ada@example.org', title = 'Ada', may = 'admin' },\n"
                 "  person 'grace' {},\n"
                 "  token 'phone' { person = 'grace', may = 'approve', expires = '2027-03-01', hash = '" HASH "' },\n"
                 "  roles = { ic = { people = { 'ada', 'grace' }, rotate = '7d', from = '2026-11-02T09:00:00Z' },\n"
                 "            lead = { calendar = 'on-call' } },\n"
                 "  pool = { 'ada' },\n"
                 "}\n");
    assert_string_equal(d.err.text, "");
    assert_json(d.result, "{\"people\":[{\"name\":\"ada\",\"line\":2,\"uid\":1000,\"email\":\"ada@example.org\","
                          "\"title\":\"Ada\",\"may\":\"admin\"},{\"name\":\"grace\",\"line\":3,\"may\":\"approve\"}],"
                          "\"tokens\":[{\"name\":\"phone\",\"line\":4,\"person\":\"grace\",\"may\":\"approve\","
                          "\"expires_ms\":1803859200000,\"hash\":\"" HASH "\"}],"
                          "\"roles\":{\"ic\":{\"people\":[\"ada\",\"grace\"],\"rotate_ms\":604800000,"
                          "\"from_ms\":1793610000000},\"lead\":{\"calendar\":\"on-call\"}},\"pool\":[\"ada\"]}");
    declared_done(&d);
}

static void every_mistake_about_people_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"", "people.lua:1: there is no people { ... } in this file"},
        {"people {}\npeople {}", "people.lua:2: there is a second people { ... }; there is one"},
        {"people { { uid = 1 } }",
         "people.lua:1: [1]: expected person \"name\" { ... } or token \"name\" { ... }, not a table"},
        {"people { person 'a b' {} }", "people.lua:1: person \"a b\": \"a b\" is not a name; use letters, digits, _ - "
                                       "and ., at most 64, beginning with a letter or digit"},
        {"people { person 'a' {},\n person 'a' {} }", "people.lua:2: person \"a\": another person has this name"},
        {"people { person 'a' { may = 'all' } }",
         "people.lua:1: person \"a\": may: expected \"read\", \"respond\", \"approve\" or \"admin\", not \"all\""},
        {"people { person 'a' { uid = -1 } }", "people.lua:1: person \"a\": uid: expected 0 to 4294967294"},
        {"people { token 't' { expires = '2027-01-01' } }",
         "people.lua:1: token \"t\": hash: missing; expected 64 hex digits"},
        {"people { token 't' { hash = 'secret', expires = '2027-01-01' } }",
         "people.lua:1: token \"t\": hash: this is not the hash of a token; `stanch token new` makes both"},
        {"people { token 't' { hash = '" HASH "', expires = 'soon' } }",
         "people.lua:1: token \"t\": expires: \"soon\" is not a time; write it like 2027-03-01 or "
         "2027-03-01T09:00:00Z"},
        {"people { roles = { boss = {} } }",
         "people.lua:1: roles.boss: there is no such key; there is ic, lead, comms, scribe"},
        {"people { roles = { ic = { rotate = '1s' } } }", "people.lua:1: roles.ic.rotate: expected 1m to 366d"},
        {"person 'a' {}\npeople {}",
         "people.lua:1: person \"a\": it stands outside of people { ... }, so it would be nobody"},
    };
    check_mistakes("people", "people.lua", mistakes, sizeof mistakes / sizeof *mistakes);
}

static void hostile_files_end_in_a_message(void **state)
{
    (void)state;
    static const char *const files[] = {
        "local t = {} t.t = t stanch { instances = { x 'a' { t = t } } }",
        "stanch(stanch)",
        "stanch { instances = { [2] = haproxy 'a' {} } }",
        "stanch { [true] = 1, [1.5] = 2, [{}] = 3 }",
        "local h = haproxy 'a' h {} h {}",
        "local h = haproxy 'a' h.x = 1",
        "stanch { [('k'):rep(5000)] = 1, ['\\xff\\xfe'] = 2 }",
        "local t = {} for i = 1, 5000 do t['k' .. i] = i end stanch(t)",
        "stanch { state_dir = ('\\xc3\\xa9'):rep(5000) }",
        "stanch(setmetatable({ drain = 5 }, { __pairs = error, __len = error, __index = error }))",
        "secret.file = 5",
        "stanch { instances = { x 'a' { y = secret.file } } }",
        "stanch { instances = { x 'a' { y = require } } }",
        "stanch { instances = { x 'a' { y = 0/0, z = 1e300 } } }",
        "stanch = nil",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct declared d;
        declare_text(&d, "config", "stanch.lua", files[i]);
        if (d.rc == 0)
            fail_msg("taken: %s", files[i]);
        assert_true(d.raised || json_array_size(json_object_get(d.result, "errors")) > 0);
        if (!d.raised) {
            STANCH_AUTO_JSON json_t *valid = json_string(d.err.text);
            assert_non_null(valid);
        }
        declared_done(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_configuration_becomes_data),
        cmocka_unit_test(an_empty_configuration_has_all_defaults),
        cmocka_unit_test(every_mistake_in_a_configuration_is_told_with_its_place),
        cmocka_unit_test(severities_are_of_sources_that_there_are),
        cmocka_unit_test(a_policy_becomes_data),
        cmocka_unit_test(what_a_policy_counts_and_whom_it_trusts_becomes_data),
        cmocka_unit_test(every_mistake_in_a_policy_is_told_with_its_place),
        cmocka_unit_test(people_become_data),
        cmocka_unit_test(every_mistake_about_people_is_told_with_its_place),
        cmocka_unit_test(hostile_files_end_in_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
