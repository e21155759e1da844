/** The inbox: calls that wait for a person. */
import { EmptyState } from '../../ui/empty-state.tsx';

const InboxPage = () => <EmptyState title="Inbox" />;
export default InboxPage;
