// What people read, for each channel. A link leads to the call's page, where they decide: none of these texts decides anything.

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const until = (seconds) => (seconds === null ? '' : ` until ${new Date(seconds * 1000).toUTCString()}`);

/** One message for an event: a title, and the calls it is about. null = nobody needs to read of it. */
export const messageOf = ({ type, data }) => {
  const calls = data.approvals ?? (data.approval === undefined ? [] : [data.approval]);
  const links = calls.map(({ tool, url, answer_by: by }) => ({ text: `${tool}${until(by)}`, url }));
  const names = calls.map(({ tool }) => tool).join(', ');
  switch (type) {
    case 'run.waiting':
      return { title: `${names} waits for a decision`, links };
    case 'approval.decided':
      return {
        title: `${data.decision?.by ?? 'Somebody'} decided about ${names}: ${data.decision?.type}`,
        links,
      };
    case 'approval.reminded':
      return { title: `${names} still waits for a decision`, links };
    case 'approval.escalated':
      return { title: `${names} waits for a decision, and more people may decide now`, links };
    case 'approval.expired':
      return { title: `Nobody decided about ${names} in time`, links };
    case 'run.ended':
      return data.status === 'completed' ? null : { title: `Run ${data.run_id} has ${data.status}`, links };
    default:
      return type === 'webhook.test' ? { title: 'This is a test.', links } : null;
  }
};

/** Body for an incoming webhook of Slack. */
export const slack = ({ title, links }) => ({
  text: escaped(title),
  blocks: [
    { type: 'section', text: { type: 'plain_text', text: title } },
    ...links.map(({ text, url }) => ({
      type: 'section',
      text: { type: 'plain_text', text },
      ...(url === null
        ? {}
        : { accessory: { type: 'button', text: { type: 'plain_text', text: 'Open' }, url } }),
    })),
  ],
});

/** Body for a workflow of Teams that posts an adaptive card. */
export const teams = ({ title, links }) => ({
  type: 'message',
  attachments: [
    {
      contentType: 'application/vnd.microsoft.card.adaptive',
      content: {
        $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
        type: 'AdaptiveCard',
        version: '1.4',
        body: [
          { type: 'TextBlock', text: title, wrap: true, weight: 'Bolder' },
          ...links.map(({ text }) => ({ type: 'TextBlock', text, wrap: true })),
        ],
        actions: links
          .filter(({ url }) => url !== null)
          .map(({ text, url }) => ({ type: 'Action.OpenUrl', title: `Open ${text}`, url })),
      },
    },
  ],
});

/** Subject and text of a mail. */
export const mail = ({ title, links }) => ({
  subject: title,
  text: [title, ...links.map(({ text, url }) => (url === null ? text : `${text}\n${url}`))].join('\n\n'),
});
