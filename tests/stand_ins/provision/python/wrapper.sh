#!/bin/sh
# Stands in for Python @VERSION@, built from its source.
if [ -d "%HOME%/missing" ]; then
    PYTHONPATH=%HOME%/missing${PYTHONPATH:+:$PYTHONPATH}
    export PYTHONPATH
fi
exec @TARGET@ "$@"
