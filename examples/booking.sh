#!/bin/sh
# A booking from the first look to its end, with nothing but curl: looks, holds, confirms, moves, cancels.
#
#   sh examples/booking.sh http://127.0.0.1:8480 ada/intro
#
# `make demo` starts a daemon it can be tried on. python3 is only used to read JSON.
set -eu
api=$1/v1 offer=$2

# What a member of the JSON on standard input is: `member '["slots"]'`.
member() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }

# One call: `call POST /bookings/… '{…}'`, with the booking's token once there is one. An Idempotency-Key of its own
# lets curl repeat it as often as the network asks; a problem is printed and ends the script.
call() {
    key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    answer=$(curl --silent --show-error --fail-with-body --retry 3 --max-time 30 --request "$1" "$api$2" \
        --header "Content-Type: application/json" --header "Idempotency-Key: $key" \
        ${token:+--header "Authorization: Bearer $token"} ${3:+--data "$3"}) || { echo "$answer" >&2; exit 1; }
    echo "$answer"
}

day() { python3 -c "import datetime; print(datetime.date.today() + datetime.timedelta(days=$1))"; }
from=$(day 3) to=$(day 21)

slots=$(call GET "/$offer/slots?start=$from&end=$to")
all='[s["start"] for day in d["slots"].values() for s in day]'
start=$(echo "$slots" | python3 -c "import json, sys; d = json.load(sys.stdin); print($all[0])")
echo "The first free time from $from on is $start."

held=$(call POST "/$offer/bookings" "{\"start\": \"$start\", \"hold_minutes\": 10}")
id=$(echo "$held" | member '["id"]')
token=$(echo "$held" | member '["token"]')
echo "It is held as $id until $(echo "$held" | member '["hold_expires_at"]')."

who='{"client": {"name": "Zoe Client", "email": "zoe@example.org"}}'
echo "Now it is $(call POST "/bookings/$id/confirm" "$who" | member '["state"]')."

other=$(call GET "/$offer/slots?start=$from&end=$to&rescheduling=$id" |
    python3 -c "import json, sys; d = json.load(sys.stdin); print($all[-1])")
moved=$(call POST "/bookings/$id/reschedule" "{\"start\": \"$other\"}")
echo "It was moved to $(echo "$moved" | member '["start"]')."

gone=$(call POST "/bookings/$id/cancel" '{"reason": "my plans have changed"}')
echo "It is $(echo "$gone" | member '["state"]'); refund: $(echo "$gone" | member '["outcome"]["refund"]')."
