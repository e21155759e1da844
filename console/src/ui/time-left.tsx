/** How long a deadline is away, and times in the past. Rule: colour never says it alone; the exact time is in the title. */
import { longDuration, shortDuration, urgencyOf } from './durations.ts';
import { now } from './clock.ts';

const exact = (seconds: number): string => new Date(seconds * 1_000).toLocaleString();
const machine = (seconds: number): string => new Date(seconds * 1_000).toISOString();

/** `deadline`: unix seconds; null = there is none. */
export const TimeLeft = ({ deadline }: { deadline: number | null }) => {
  if (deadline === null) return <span class="time-left time-none">no deadline</span>;
  const left = deadline - now.value / 1_000;
  const urgency = urgencyOf(deadline, now.value);
  return (
    <time class={`time-left time-${urgency}`} dateTime={machine(deadline)} title={exact(deadline)}>
      {urgency === 'past' ? 'overdue' : `${shortDuration(left)} left`}
    </time>
  );
};

/** `at`: unix seconds. */
export const TimeAgo = ({ at }: { at: number }) => {
  const passed = now.value / 1_000 - at;
  return (
    <time dateTime={machine(at)} title={exact(at)}>
      {passed < 5 ? 'just now' : `${longDuration(passed)} ago`}
    </time>
  );
};
