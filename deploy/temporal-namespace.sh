#!/bin/sh
# Creates the namespace and the search attributes that runs are found by. Safe to run again.
set -eu
namespace="${TEMPORAL_NAMESPACE:-default}"

attempts=0
until temporal operator cluster health >/dev/null 2>&1; do
  attempts=$((attempts + 1))
  if [ "$attempts" -ge 30 ]; then
    echo "Temporal at $TEMPORAL_ADDRESS was not healthy within 60 s." >&2
    exit 1
  fi
  sleep 2
done

temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$namespace" --retention "${TEMPORAL_RETENTION:-72h}"

# A new namespace reaches every part of the server within seconds, not at once.
attempts=0
until known=$(temporal operator search-attribute list --namespace "$namespace" 2>/dev/null); do
  attempts=$((attempts + 1))
  if [ "$attempts" -ge 30 ]; then
    echo "Namespace $namespace did not become usable within 60 s." >&2
    exit 1
  fi
  sleep 2
done

attribute() {
  case "$known" in
    *"$1"*) echo "$1: there" ;;
    *) temporal operator search-attribute create --namespace "$namespace" --name "$1" --type "$2" ;;
  esac
}
attribute RunsRunId Keyword
attribute RunsThreadId Keyword
attribute RunsAssistantId Keyword
attribute RunsStatus Keyword
attribute RunsWaitingFor KeywordList
attribute RunsDeadline Datetime
