import { useEffect, useState } from 'preact/hooks';
import type { Controller } from '../controller.ts';
import type { Screen, State } from '../machine.ts';
import { Button } from '../parts/button.tsx';
import { CheckMark, ClockIcon } from '../parts/icons.tsx';
import { Logo } from '../parts/logo.tsx';
import { Message } from '../parts/message.tsx';
import { fill } from '../words/languages.ts';

interface Props {
    readonly controller: Controller;
    readonly state: State;
    readonly screen: Screen & { name: 'success' | 'pending' };
}

/** Long enough to be seen. */
const returnAfterMs = 1800;

/** Success, or the wait for somebody's approval (§7.31). */
export function ConnectedScreen({ controller, state, screen }: Props) {
    const { words, config } = controller;
    const { subject, connected } = screen;
    const integration = subject?.integration ?? state.integrations?.find(({ unique_key }) => unique_key === connected.providerConfigKey);
    const name = subject?.provider.display_name ?? integration?.display_name ?? '';
    const isPending = screen.name === 'pending';
    const texts = isPending ? words.pending : words.success;
    const unsigned = controller.returnAddress(connected);
    // There at once, so that nobody is told to close the tab, or waits for a server that is gone.
    const [goesTo, setAddress] = useState(unsigned);
    useEffect(() => {
        if (unsigned === undefined) return undefined;
        let isCurrent = true;
        void controller.signedReturnAddress(connected).then((address) => isCurrent && setAddress(address ?? unsigned));
        return () => {
            isCurrent = false;
        };
    }, [controller, connected, unsigned]);
    useEffect(() => {
        if (goesTo === undefined) return undefined;
        const timer = setTimeout(() => window.location.assign(goesTo), returnAfterMs);
        return () => clearTimeout(timer);
    }, [goesTo]);
    return (
        <Message
            picture={
                <Logo
                    src={integration?.logo}
                    name={name}
                    size="large"
                    badge={isPending ? { kind: 'waiting', mark: <ClockIcon /> } : { kind: 'good', mark: <CheckMark /> }}
                />
            }
            title={texts.title}
            text={fill(texts.text, { name })}
            actions={
                goesTo !== undefined ? (
                    <a class="button primary" href={goesTo}>
                        {words.success.goOn}
                    </a>
                ) : config.isStandalone ? (
                    <p class="note">{words.success.closeTab}</p>
                ) : (
                    <Button onClick={() => controller.close('click:finish')}>{words.success.finish}</Button>
                )
            }
        />
    );
}
