CREATE TABLE "sessions" (
	"digest" text PRIMARY KEY NOT NULL,
	"method" text NOT NULL,
	"name" text NOT NULL,
	"tenant" text NOT NULL,
	"proof" text NOT NULL,
	"groups" json NOT NULL,
	"created_at" bigint NOT NULL,
	"used_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "sessions_of_person" ON "sessions" USING btree ("tenant","name");--> statement-breakpoint
CREATE INDEX "sessions_by_use" ON "sessions" USING btree ("used_at");--> statement-breakpoint
CREATE INDEX "sessions_by_expiry" ON "sessions" USING btree ("expires_at");