"""Validates a compose file against the schema of the Compose specification."""

import json
import sys

import jsonschema
import yaml

file, schema = (open(path) for path in sys.argv[1:])
schema = json.load(schema)
compose = yaml.safe_load(file)
jsonschema.Draft201909Validator(schema).validate(compose)
json.dump(compose, sys.stdout)
