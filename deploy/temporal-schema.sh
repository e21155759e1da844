#!/bin/sh
# Brings the schemas of Temporal's two databases up to the server's version. Safe to run again.
set -eu
schema() {
  sql() { temporal-sql-tool --plugin postgres12 --ep postgres -p 5432 -u temporal --db "$1" "$2" "$3" "$4"; }
  sql "$1" setup-schema -v 0.0
  sql "$1" update-schema -d "/etc/temporal/schema/postgresql/v12/$2/versioned"
}
schema temporal temporal
schema temporal_visibility visibility
