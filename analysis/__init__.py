"""Read-only analysis: explain one person, backtest a definition, compare two, report a run."""
