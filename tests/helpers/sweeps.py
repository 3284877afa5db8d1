"""Flags of the smallest runs that a sweep can make."""

TINY = (
    "--observation state --frames 120 --frames-per-setting 60 --warmup-frames 20 --capacity 100 --eval-every 60 "
    "--eval-episodes 1 --eval-frame-limit 30 --hidden-sizes 8 --no-eval-worker --meter-every 0 --log-every 20"
).split()
