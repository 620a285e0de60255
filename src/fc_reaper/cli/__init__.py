"""The command line: its commands, in the order of `--help`."""

from fc_reaper.cli import apply, approve, backtest, check, demo, diff, doctor, explain, invoke, plan, probe
from fc_reaper.cli.app import app
from fc_reaper.cli.schema import schema
from fc_reaper.cli.setup import setup

for _command in (
    *(demo.demo, invoke.invoke, plan.plan, apply.apply, check.check, explain.explain),
    *(backtest.backtest, diff.diff, approve.approve, setup, doctor.doctor, probe.probe, schema),
):
    app.command()(_command)
