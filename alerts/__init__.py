"""Tells the right person: takes an `Alert`, ends with a receiver that has accepted it.

The way of one alert, each step in the module that bears its name:

1. `model`: an `Alert` arrives, made elsewhere; nothing here knows how it was detected.
2. `policy.plan` (pure) routes it: one `Notification` a receiver, with an id that never changes, and
   the `hours` it may be told in.
3. `dispatcher.Dispatcher.accept` writes the notifications to the `ledger` and returns when they are
   durable; whoever called may then forget the alert.
4. The receiver's `lane` hands them out in order of urgency. `receivers.<type>.payload` (pure) writes
   the message with `text`, cut to the platform's limit by `clip`; `http` sends it, past the
   address guard in `net`; `receivers.<type>.judge` (pure) reads the answer.
5. `retry.decide` (pure) says what follows: delivered, again at some time, or given up.
6. The outcome goes to the ledger and to `metrics`; what was given up goes to the dead letters.

Configuration comes parsed (`config`), time and randomness as arguments, metrics as a Protocol. The
package never imports `stream`.
"""
