/* completion.c: completion for bash, zsh and fish, out of the table of commands. */
#include "cli/room.h"
#include "base/mem.h"
#include <string.h>

static bool is_first_of_noun(int step)
{
    const struct stanch_cli__command *row = stanch_cli__command_at(step), *before;
    for (int i = 0; i < step && (before = stanch_cli__command_at(i)); i++)
        if (strcmp(before->noun, row->noun) == 0)
            return false;
    return true;
}

static void add_nouns(struct stanch_buf *out)
{
    const struct stanch_cli__command *row;
    stanch_buf_text(out, "help serve");
    for (int i = 0; (row = stanch_cli__command_at(i)); i++)
        if (is_first_of_noun(i))
            stanch_buf_printf(out, " %s", row->noun);
}

static void add_verbs(struct stanch_buf *out, const char *noun)
{
    const struct stanch_cli__command *row;
    for (int i = 0; (row = stanch_cli__command_at(i)); i++)
        if (strcmp(row->noun, noun) == 0 && row->verb)
            stanch_buf_printf(out, "%s%s", out->len ? " " : "", row->verb);
}

static void add_options(struct stanch_buf *out)
{
    const char *name;
    for (int i = 0; (name = stanch_cli__option_at(i)); i++)
        stanch_buf_printf(out, "%s--%s", i ? " " : "", name);
}

static void say_bash(const struct stanch_cli *cli)
{
    STANCH_AUTO_BUF struct stanch_buf nouns = {0}, options = {0};
    const struct stanch_cli__command *row;
    add_nouns(&nouns);
    add_options(&options);
    stanch_cli__say(cli,
                    "_stanch() {\n  local word=${COMP_WORDS[COMP_CWORD]} words\n"
                    "  if [[ $word == -* ]]; then words='%s'\n"
                    "  elif (( COMP_CWORD == 1 )); then words='%s'\n"
                    "  elif (( COMP_CWORD == 2 )); then case ${COMP_WORDS[1]} in\n",
                    stanch_buf_str(&options), stanch_buf_str(&nouns));
    for (int i = 0; (row = stanch_cli__command_at(i)); i++) {
        STANCH_AUTO_BUF struct stanch_buf verbs = {0};
        add_verbs(&verbs, row->noun);
        if (is_first_of_noun(i) && verbs.len)
            stanch_cli__say(cli, "    %s) words='%s' ;;\n", row->noun, stanch_buf_str(&verbs));
    }
    stanch_cli__say(cli, "  esac; fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
                         "complete -o default -F _stanch stanch\n");
}

static void say_fish(const struct stanch_cli *cli)
{
    STANCH_AUTO_BUF struct stanch_buf nouns = {0};
    const struct stanch_cli__command *row;
    const char *name;
    add_nouns(&nouns);
    stanch_cli__say(cli, "complete -c stanch -n __fish_use_subcommand -f -a '%s'\n", stanch_buf_str(&nouns));
    for (int i = 0; (row = stanch_cli__command_at(i)); i++)
        if (row->verb)
            stanch_cli__say(cli, "complete -c stanch -n '__fish_seen_subcommand_from %s' -f -a %s -d '%s'\n", row->noun,
                            row->verb, row->help[strcspn(row->help, "'")] ? "" : row->help);
    for (int i = 0; (name = stanch_cli__option_at(i)); i++)
        stanch_cli__say(cli, "complete -c stanch -l %s\n", name);
}

static int run_completion(struct stanch_cli *cli)
{
    const char *shell = cli->args[0];
    if (strcmp(shell, "zsh") == 0)
        stanch_cli__say(cli, "autoload -U +X bashcompinit && bashcompinit\n");
    if (strcmp(shell, "bash") == 0 || strcmp(shell, "zsh") == 0)
        say_bash(cli);
    else if (strcmp(shell, "fish") == 0)
        say_fish(cli);
    else
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "completion for bash, zsh or fish, not %s", shell);
    return 0;
}

const struct stanch_cli__command stanch_cli__completion_commands[] = {
    {"completion", NULL, "bash|zsh|fish", 1, 1, "", "for: source <(stanch completion bash)", run_completion},
    {0},
};
