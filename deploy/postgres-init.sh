#!/bin/sh
# Runs once, when the database volume is empty: a role for each of the two tenants of this Postgres, owner of its own
# databases and barred from the other's. Nobody but this script and you needs the superuser.
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  --set temporal_password="$TEMPORAL_DB_PASSWORD" --set runs_password="$RUNS_DB_PASSWORD" <<'SQL'
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE ROLE runs LOGIN PASSWORD :'runs_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE durable_runs OWNER runs;
REVOKE CONNECT ON DATABASE temporal, temporal_visibility, durable_runs FROM PUBLIC;
SQL
