CREATE TABLE "provider_limits" (
	"provider" text PRIMARY KEY NOT NULL,
	"requests_full_at" double precision DEFAULT 0 NOT NULL,
	"tokens_full_at" double precision DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "provider_slots" (
	"id" text PRIMARY KEY NOT NULL,
	"provider" text NOT NULL,
	"ends_at" double precision NOT NULL
);
--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "models_used" json;--> statement-breakpoint
ALTER TABLE "steps" ADD COLUMN "model" json;--> statement-breakpoint
CREATE INDEX "provider_slots_of" ON "provider_slots" USING btree ("provider","ends_at");