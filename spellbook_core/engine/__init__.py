"""Plan, state machine, runner and ports: how blocks run, without knowing what runs them."""
