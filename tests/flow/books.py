"""books.py: runbooks and policies that the flow and crash tests share. `fx` is the effect-logging test plugin."""

# a runbook that a test pushes acts; what asks until it is accepted is in test_limits.py
AUTO = 'policy { auto = "high", autonomy_changed = "auto" }\n'
ALWAYS = 'policy { auto = "high", autonomy_changed = "auto", conflicts = "allow" }\n'  # one run after another on the same target
ASK = 'policy { auto = "none", autonomy_changed = "auto", approve = { low = { role = "ic" }, medium = { role = "ic" }, high = { role = "ic" } } }\n'

ACTIONS = ("set_convergent", "set_idempotent", "set_reconcilable", "set_unprotected")


def book(body, name="heal", on='alert { alertname = "TestAlert" }', uses=("get",) + ACTIONS, more=""):
    """A runbook whose run function has this body."""
    return f'''local fx = effects "fx"
runbook "{name}" {{
  summary = "For tests",
  owner = "team-test",
  on = {on},
  uses = {{ {", ".join("fx." + u for u in uses)} }},
  symptom = symptom {{ ask = fx.get {{ target = "errors" }}, bad = "> 5", good = "< 1",
                      settle = "0s", hold = "0s", within = "2s", every = "100ms" }},
  {more}
  run = function(incident, p)
    {body}
  end,
}}
'''


def set_to(value=7, action="set_convergent", target="s1", extra=""):
    return f'fx.{action} {{ target = "{target}", value = {value}, because = "it is failing" {extra} }}'
