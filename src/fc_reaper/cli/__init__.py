"""The command line: its commands, in the order of `--help`."""

from fc_reaper.cli import apply, approve, backtest, check, demo, diff, doctor, explain, invoke, plan, schema
from fc_reaper.cli.app import app

for _command in (
    *(demo.demo, invoke.invoke, plan.plan, apply.apply, check.check, explain.explain),
    *(backtest.backtest, diff.diff, approve.approve, doctor.doctor, schema.schema),
):
    app.command()(_command)
