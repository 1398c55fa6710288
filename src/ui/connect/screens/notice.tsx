/** Screens that say one thing: no token, expired, broken, empty, unsupported. */
import type { Controller } from '../controller.ts';
import type { Screen } from '../machine.ts';
import { Button } from '../parts/button.tsx';
import { AlertIcon, BoxIcon, ClockIcon, KeyIcon } from '../parts/icons.tsx';
import { Logo } from '../parts/logo.tsx';
import { Message, Picture } from '../parts/message.tsx';
import { fill } from '../words/languages.ts';

interface Props {
    readonly controller: Controller;
    readonly screen: Extract<Screen, { name: 'no-token' | 'unsupported' | 'expired' | 'error' | 'empty' }>;
}

export function Notice({ controller, screen }: Props) {
    const { words, config } = controller;
    const close = config.isStandalone ? undefined : (
        <Button kind="quiet" onClick={() => controller.close('click:close')}>
            {words.close}
        </Button>
    );
    switch (screen.name) {
        case 'no-token':
            return <Message picture={<Picture children={<KeyIcon />} />} title={words.noToken.title} text={words.noToken.text} actions={close} />;
        case 'expired':
            return <Message picture={<Picture children={<ClockIcon />} />} title={words.expired.title} text={words.expired.text} actions={close} />;
        case 'empty':
            return <Message picture={<Picture children={<BoxIcon />} />} title={words.empty.title} text={words.empty.text} actions={close} />;
        case 'error':
            return (
                <Message
                    picture={<Picture children={<AlertIcon />} />}
                    title={words.error.title}
                    text={words.error.text}
                    actions={<Button onClick={() => controller.retry()}>{words.retry}</Button>}
                />
            );
        case 'unsupported': {
            const { display_name: name, logo } = screen.subject.integration;
            return (
                <Message
                    picture={<Logo src={logo} name={name} size="large" />}
                    title={fill(words.unsupported.title, { name })}
                    text={words.unsupported.text}
                    actions={close}
                />
            );
        }
    }
}
