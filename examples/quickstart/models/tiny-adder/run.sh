#!/bin/sh
# Adds two numbers. The executable bit is part of what is pushed.
echo "$(($1 + $2))"
