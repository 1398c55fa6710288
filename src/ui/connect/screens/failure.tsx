import { useState } from 'preact/hooks';
import type { Controller } from '../controller.ts';
import type { Screen, State } from '../machine.ts';
import { isSingle } from '../machine.ts';
import { Button } from '../parts/button.tsx';
import { CrossMark, DownIcon } from '../parts/icons.tsx';
import { Logo } from '../parts/logo.tsx';
import { Message } from '../parts/message.tsx';
import type { Words } from '../words/en.ts';
import { fill } from '../words/languages.ts';

interface Props {
    readonly controller: Controller;
    readonly state: State;
    readonly screen: Screen & { name: 'failure' };
}

export function FailureScreen({ controller, state, screen }: Props) {
    const { words } = controller;
    const { subject, failure } = screen;
    const integration = subject?.integration ?? state.integrations?.find(({ unique_key }) => unique_key === failure.integrationKey);
    const name = integration?.display_name ?? '';
    const [isOpen, setOpen] = useState(false);
    const details = compact(failure.message);
    const reason = isForPeople(failure.type, details) ? details : '';
    const leadsNowhere = subject === undefined && isSingle(state);
    return (
        <Message
            picture={<Logo src={integration?.logo} name={name} size="large" badge={{ kind: 'bad', mark: <CrossMark /> }} />}
            title={words.failure.title}
            text={textOf(failure.type, failure.message, name, words)}
            actions={<Button onClick={() => (leadsNowhere ? controller.retry() : controller.back())}>{subject ? words.back : words.retry}</Button>}
        >
            {reason !== '' && <p class="reason">{reason}</p>}
            <div class="details">
                <button type="button" class="link" aria-expanded={isOpen} aria-controls="details" onClick={() => setOpen(!isOpen)}>
                    {words.failure.details}
                    <DownIcon />
                </button>
                <div id="details" class="details-text" hidden={!isOpen}>
                    {details !== '' && details !== reason && <p>{details}</p>}
                    <p>{fill(words.failure.code, { code: failure.type })}</p>
                </div>
            </div>
        </Message>
    );
}

/** A hook of the customer's speaks for itself; what servers say otherwise is for the details (§3.4, §7.28). */
function textOf(type: string, message: string, name: string, { failure }: Words): string {
    if (type === 'connection_validation_failed' && message !== '') return message;
    if (type === 'connection_test_failed' || type === 'connection_validation_failed') return fill(failure.credentials, { name });
    return type === 'resource_capped' ? failure.limit : fill(failure.other, { name });
}

/** A sentence of the provider's or the server's, as far as it is not said already. */
const isForPeople = (type: string, details: string): boolean => !spokenFor.has(type) && !/^[{[]/.test(details);
const spokenFor: ReadonlySet<string> = new Set(['connection_test_failed', 'connection_validation_failed', 'resource_capped']);

function compact(message: string): string {
    try {
        return JSON.stringify(JSON.parse(message));
    } catch {
        return message.trim();
    }
}
