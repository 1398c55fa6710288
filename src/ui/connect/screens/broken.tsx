import { Component, type ComponentChildren } from 'preact';
import type { Words } from '../words/en.ts';
import { Button } from '../parts/button.tsx';
import { AlertIcon } from '../parts/icons.tsx';
import { Message, Picture } from '../parts/message.tsx';

/** What a mistake in this page looks like to its user. */
export class Broken extends Component<{ words: Words; children: ComponentChildren }, { isBroken: boolean }> {
    override state = { isBroken: false };

    static override getDerivedStateFromError(): { isBroken: boolean } {
        return { isBroken: true };
    }

    render() {
        const { words, children } = this.props;
        if (!this.state.isBroken) return children;
        return (
            <Message
                picture={<Picture children={<AlertIcon />} />}
                title={words.error.title}
                text={words.error.text}
                actions={<Button onClick={() => window.location.reload()}>{words.retry}</Button>}
            />
        );
    }
}
