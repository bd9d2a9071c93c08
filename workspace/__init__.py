"""The ground every other package stands on: settings, files, store, ledger, names and errors."""
