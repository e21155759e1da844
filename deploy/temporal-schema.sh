#!/bin/sh
# Brings the schemas of Temporal's two databases up to the version of the tool, which carries them. Safe to run again.
# Reads SQL_PASSWORD, and SQL_HOST and SQL_PORT where PostgreSQL is not at postgres:5432.
set -eu
export SQL_PLUGIN=postgres12 SQL_USER=temporal SQL_HOST="${SQL_HOST:-postgres}" SQL_PORT="${SQL_PORT:-5432}"
schema() {
  temporal-sql-tool --db "$1" setup-schema -v 0.0
  temporal-sql-tool --db "$1" update-schema --schema-name "postgresql/v12/$2"
}
schema temporal temporal
schema temporal_visibility visibility
