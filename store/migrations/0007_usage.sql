CREATE TABLE "turn_reservations" (
	"run_id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"tokens" bigint NOT NULL,
	"currency" text NOT NULL,
	"cost" numeric NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_days" (
	"tenant" text NOT NULL,
	"day" text NOT NULL,
	"model" text NOT NULL,
	"currency" text NOT NULL,
	"slot" integer NOT NULL,
	"turns" bigint NOT NULL,
	"prompt_tokens" bigint NOT NULL,
	"cached_tokens" bigint NOT NULL,
	"completion_tokens" bigint NOT NULL,
	"reasoning_tokens" bigint NOT NULL,
	"total_tokens" bigint NOT NULL,
	"cost" numeric NOT NULL,
	CONSTRAINT "usage_days_tenant_day_model_currency_slot_pk" PRIMARY KEY("tenant","day","model","currency","slot")
);
--> statement-breakpoint
ALTER TABLE "turn_reservations" ADD CONSTRAINT "turn_reservations_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "turn_reservations_of_tenant" ON "turn_reservations" USING btree ("tenant");--> statement-breakpoint
CREATE INDEX "usage_days_by_day" ON "usage_days" USING btree ("day");