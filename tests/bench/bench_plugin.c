/* bench_plugin.c: a call to a plugin's host and back, through core's own registry: an action that does nothing.
 *
 *   bench_plugin STANCH PLUGIN_DIR LOCK N     p50_us, p99_us */
#include "bench.h"
#include "base/digest.h"
#include "base/json.h"
#include "plugin/plugin.h"

struct bench {
    struct stanch_loop *loop;
    struct stanch_plugins *plugins;
    struct stanch_err err;
    bool answered;
};

static void on_ready(void *ctx, const struct stanch_err *err)
{
    struct bench *bench = ctx;
    bench->err = *err;
    stanch_loop_stop(bench->loop);
}

static void on_answer(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct bench *bench = ctx;
    bench->answered = true;
    bench->err = answer->err;
    stanch_loop_stop(bench->loop);
}

static void start(struct bench *bench, char **argv)
{
    STANCH_AUTO_JSON json_t *config =
        json_pack("{s:s, s:s, s:{s:s}}", "name", "hit", "plugin", "target", "settings", "url", "http://127.0.0.1:9");
    stanch_digest_init();
    bench->loop = stanch_loop_new(&bench->err);
    if (!bench->loop ||
        stanch_plugins_new(bench->loop, argv[1], argv[2], NULL, argv[3], &bench->plugins, &bench->err) < 0 ||
        stanch_plugins_add(bench->plugins, config, &bench->err) < 0)
        bench_die("%s", bench->err.text);
    stanch_plugins_when_ready(bench->plugins, on_ready, bench);
    stanch_loop_run(bench->loop);
    if (bench->err.code)
        bench_die("%s", bench->err.text);
}

static void call(struct bench *bench)
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:{}}", "args");
    struct stanch_plugin_request request = {
        .instance = "hit", .op = "read", .action = "nothing", .input = input, .deadline_ms = 5000};
    bench->answered = false;
    if (stanch_plugins_call(bench->plugins, &request, on_answer, bench, NULL, &bench->err) < 0)
        bench_die("%s", bench->err.text);
    while (!bench->answered)
        stanch_loop_run(bench->loop);
    if (bench->err.code)
        bench_die("%s", bench->err.text);
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct bench_times times = {0};
    if (argc != 5)
        bench_die("usage: bench_plugin STANCH PLUGIN_DIR LOCK N");
    int64_t count = bench_number(argv[4], "N");
    start(&bench, argv);
    for (int64_t i = 0; i < count; i++) {
        int64_t begin = bench_now_ns();
        call(&bench);
        bench_add(&times, bench_now_ns() - begin);
    }
    bench_print("p50_us", bench_percentile_us(&times, 50));
    bench_print("p99_us", bench_percentile_us(&times, 99));
    bench_times_done(&times);
    stanch_plugins_free(bench.plugins);
    stanch_loop_free(bench.loop);
    return 0;
}
